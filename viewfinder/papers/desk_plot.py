"""Figures of experiments at desk scale: bars in groups, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viewfinder.core.files import write_figure
from viewfinder.papers.result import Spread

Points = Mapping[float, Spread]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: curves by name over x, and levels (baselines) as dotted lines.

    ``log`` and ``linear_below`` make the x axis logarithmic, linear below that value (0 is shown).
    """

    title: str
    x: str
    curves: Mapping[str, Points]
    levels: Mapping[str, Spread | None]
    log: bool = False
    linear_below: float | None = None
    y: str = "top-1, %"


def curves(panels: Sequence[Panel], path: Path) -> None:
    """Means with their deviations over seeds, one panel beside the other."""
    figure = Figure(figsize=(5.6 * len(panels), 4.0), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, panel)
    write_figure(figure, path)


def grouped_bars(
    groups: Mapping[str, Mapping[str, Spread | None]], path: Path, *, x: str = "top-1, %"
) -> None:
    """A panel for each group, in it a bar for each row; in percent."""
    figure = Figure(figsize=(4.2 * len(groups), 3.8), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axes, (title, rows) in zip(panels, groups.items(), strict=True):
        known = {name: spread for name, spread in rows.items() if spread is not None}
        means = [100 * a.mean for a in known.values()]
        spread = [100 * (a.deviation or 0.0) for a in known.values()]
        axes.barh(list(known), means, xerr=spread, color="tab:blue", alpha=0.8)
        axes.set(title=title, xlabel=x)
        if not axes.yaxis_inverted():  # shared: the first panel turns it for all
            axes.invert_yaxis()
    write_figure(figure, path)


def _panel(axes: Axes, panel: Panel) -> None:
    for name, points in panel.curves.items():
        known = sorted(points.items())
        axes.errorbar(
            [x for x, _ in known],
            [100 * a.mean for _, a in known],
            yerr=[100 * (a.deviation or 0.0) for _, a in known],
            marker="o",
            capsize=3,
            label=name,
        )
    for number, (name, level) in enumerate(panel.levels.items()):
        if level is not None:
            colour = ("gray", "black")[number % 2]
            axes.axhline(100 * level.mean, color=colour, linestyle=":", label=name)
    if panel.linear_below is not None:
        axes.set_xscale("symlog", linthresh=panel.linear_below)
    elif panel.log:
        axes.set_xscale("log")
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
