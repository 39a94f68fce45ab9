"""Pictures of a sweep: the information plane, and the curves of CI-InfoNCE's Figures 5 and 6."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from viewfinder.information.discrete import Unit
from viewfinder.positives.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_I, _H, _PICK = "#1f77b4", "#d62728", "#2ca02c"


def information_plane(found: Sweep, unit: Unit = "bits") -> Figure:
    """H(Z|T) to the right, I(Z;T) upward, one point a value; needs a sweep with labels.

    The upper left is best: all of the labels and nothing else. The dashed line is H(T), the most
    there is to know; on the dotted one I(Z;T) = H(Z|T).
    """
    from matplotlib.figure import Figure

    points = _points(found, unit)
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([p["h"] for p in points], [p["i"] for p in points], "-", color="0.8", zorder=1)
    for p in points:
        chosen = p["value"] == found.recommendation.value
        axes.scatter(p["h"], p["i"], color=_PICK if chosen else _I, s=50 if chosen else 20)
        axes.annotate(
            str(p["value"]), (p["h"], p["i"]), xytext=(4, 3), textcoords="offset points", fontsize=8
        )
    axes.axhline(points[0]["top"], ls="--", lw=1, color="0.5")
    most = max(p["h"] for p in points)
    diagonal = min(most, points[0]["top"])
    axes.plot([0, diagonal], [0, diagonal], ":", lw=1, color="0.5")
    axes.set(xlabel=f"H(Z|T) [{unit}]", ylabel=f"I(Z;T) [{unit}]")
    axes.set_title(f"clusters by {found.parameter}", fontsize=10)
    return figure


def curves(
    found: Sweep, unit: Unit = "bits", accuracy: Mapping[Any, float] | None = None
) -> Figure:
    """Panels over the parameter: accuracy by value (where given), I(Z;T), and H(Z|T).

    A sweep without labels has one panel: H(Z), with half of log N. The recommended value is marked.
    """
    from matplotlib.figure import Figure

    values = [row.value for row in found.rows]
    scale = 1 / math.log(2) if unit == "bits" else 1.0
    panels: list[tuple[str, dict[Any, float], str, float | None]] = []
    if accuracy is not None:
        panels.append(("accuracy", dict(accuracy), _PICK, None))
    if all(row.information is not None for row in found.rows):
        points = _points(found, unit)
        panels.append(
            (f"I(Z;T) [{unit}]", {p["value"]: p["i"] for p in points}, _I, points[0]["top"])
        )
        panels.append((f"H(Z|T) [{unit}]", {p["value"]: p["h"] for p in points}, _H, None))
    else:
        half = math.log(found.rows[0].n) / 2 * scale
        panels.append(
            (f"H(Z) [{unit}]", {row.value: row.h_z * scale for row in found.rows}, _I, half)
        )
    figure = Figure(figsize=(3.4 * len(panels), 3), layout="constrained")
    for axes, (name, line, color, level) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        _panel(axes, found, values, line, color)
        if level is not None:
            axes.axhline(level, ls="--", lw=1, color="0.5")
        axes.set(xlabel=found.parameter, ylabel=name)
    return figure


def _panel(
    axes: Axes, found: Sweep, values: list[Any], line: Mapping[Any, float], color: str
) -> None:
    place = {value: x for x, value in enumerate(values)}
    shown = [value for value in values if value in line]
    axes.plot([place[v] for v in shown], [line[v] for v in shown], "o-", color=color, ms=4)
    if found.recommendation.value in place:
        axes.axvline(place[found.recommendation.value], lw=6, color=_PICK, alpha=0.25)
    axes.set_xlim(-0.5, len(values) - 0.5)
    step = max(1, math.ceil(len(values) / 10))
    axes.set_xticks(range(0, len(values), step), [str(v) for v in values[::step]])


def _points(found: Sweep, unit: Unit) -> list[dict[str, Any]]:
    points = []
    for row in found.rows:
        if row.information is None:
            raise ValueError("a sweep without labels has no information plane")
        i = row.information.bits if unit == "bits" else row.information.nats
        points.append({"value": row.value, "i": i.i, "h": i.h_z_given_t, "top": i.h_t})
    return points
