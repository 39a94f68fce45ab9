"""The bar chart of what several view makers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from viewfinder.information.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def bars(panels: Mapping[str, Mapping[str, Estimate]]) -> Figure:
    """A panel for each measure, in it a bar with its 95 % interval for each view maker.

    panels  title -> name -> estimate, all of one unit. The dashed line is the ceiling; hatched bars
            come within a tenth of it and say "at least"
    """
    from matplotlib.figure import Figure

    most = max(len(one) for one in panels.values())
    figure = Figure(figsize=(5.2 * len(panels), 1.4 + 0.5 * most), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, found) in zip(drawn, panels.items(), strict=True):
        _panel(axes, found)
        axes.set_title(title, fontsize=10)
    drawn[0].invert_yaxis()
    return figure


def _panel(axes: Axes, found: Mapping[str, Estimate]) -> None:
    for name, one in found.items():
        whiskers = [[one.value - one.low], [one.high - one.value]]
        hatch = "//" if one.near_ceiling else None
        axes.barh(name, one.value, xerr=whiskers, color="#4f46e5", alpha=0.8, hatch=hatch)
    any_one = next(iter(found.values()))
    if any_one.ceiling is not None:
        axes.axvline(any_one.ceiling, ls="--", lw=1, color="0.4")
    axes.set_xlabel(f"{any_one.unit}, 95 % interval of the bound; dashed: its ceiling", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
