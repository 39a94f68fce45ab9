"""Accuracy along one parameter and against information, as InfoMin draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viewfinder.core.files import write_figure
from viewfinder.papers.result import Spread


@dataclass(frozen=True)
class CurvePoint:
    """One value of the parameter: as it is called, where it lies, and what was found.

    at           on the axis of the parameter
    accuracy     shares, a number a seed; information in ``unit``, None where not measured
    """

    label: str
    at: float
    accuracy: Spread
    information: Spread | None = None


def draw(
    curves: dict[str, Sequence[CurvePoint]],
    path: Path,
    *,
    parameter: str,
    information: str,
    axis: bool = True,
    log: bool = False,
) -> None:
    """Two panels: accuracy over the parameter, and over information; bars are deviations over
    seeds, the star is the highest mean. ``axis`` False: the values are no numbers but names."""
    figure = Figure(figsize=(11.2, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, points in curves.items():
        ordered = sorted(points, key=lambda p: p.at)
        _curve(left, name, ordered, [p.at for p in ordered], None)
        known = [p for p in points if p.information is not None]
        known.sort(key=lambda p: p.at)
        xs = [p.information for p in known if p.information is not None]
        errors = [x.deviation or 0.0 for x in xs]
        _curve(right, name, known, [x.mean for x in xs], errors)
        for point, x in zip(known, xs, strict=True):
            where = (x.mean, 100 * point.accuracy.mean)
            right.annotate(point.label, where, xytext=(4, 4), textcoords="offset points", size=7)
    if not axis:
        names = {p.at: p.label for points in curves.values() for p in points}
        left.set_xticks(list(names), list(names.values()), rotation=30, ha="right")
    elif log:
        left.set_xscale("log")
    left.set(xlabel=parameter, ylabel="top-1, %", title="accuracy over the parameter")
    right.set(xlabel=information, ylabel="top-1, %", title="accuracy over information")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize="small", loc="lower left")
    write_figure(figure, path)


def _curve(
    axes: Axes,
    name: str,
    points: Sequence[CurvePoint],
    xs: Sequence[float],
    errors: Sequence[float] | None,
) -> None:
    if not points:
        return
    means = [100 * p.accuracy.mean for p in points]
    spread = [100 * (p.accuracy.deviation or 0.0) for p in points]
    drawn = axes.errorbar(xs, means, yerr=spread, xerr=errors, marker="o", capsize=3, label=name)
    best = max(range(len(means)), key=lambda i: means[i])
    colour = drawn[0].get_color()
    axes.plot(xs[best], means[best], marker="*", markersize=16, color=colour, linestyle="")
