"""The bar chart of a transfer: a panel per probe, a group of bars per set, a bar per method."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from viewfinder.core.files import write_figure
from viewfinder.evaluation.tasks.transfer_table import ScoreTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OWN = ("#4f46e5", "#0891b2", "#059669", "#d97706", "#db2777", "#7c3aed")
_BASELINES = ("#7b8494", "#aeb6c4", "#d5dae2")


def write_chart(tables: Sequence[ScoreTable], path: Path) -> None:
    """Write the chart of ``tables`` as PNG. Raises UserError where it cannot be written."""
    write_figure(chart(tables), path, dpi=120)


def chart(tables: Sequence[ScoreTable]) -> Figure:
    """Bars of top-1 in % (and of R²), with a whisker of one standard deviation over runs."""
    from matplotlib.figure import Figure

    widest = max(len(table.columns) for table in tables)
    figure = Figure(
        figsize=(max(5, 1.6 + 1.1 * widest), 3.2 * len(tables)),
        layout="constrained",
    )
    panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
    for axes, table in zip(panels, tables, strict=True):
        _panel(axes, table)
    return figure


def _panel(axes: Axes, table: ScoreTable) -> None:
    columns = [column for column in table.columns if column.style != "error"]
    rows = list(table.values)
    width = 0.8 / len(rows)
    own = [row for row in rows if row in table.own]
    others = [row for row in rows if row not in table.own]
    for i, row in enumerate(rows):
        colours, place = (
            (_OWN, own.index(row)) if row in table.own else (_BASELINES, others.index(row))
        )
        named = False
        for j, column in enumerate(columns):
            values = table.values[row].get(column.key, [])
            if not values:
                continue
            scale = 100 if column.style == "percent" else 1
            axes.bar(
                j + (i - (len(rows) - 1) / 2) * width,
                scale * statistics.mean(values),
                width,
                yerr=scale * statistics.stdev(values) if len(values) > 1 else None,
                color=colours[place % len(colours)],
                label=None if named else row,
                capsize=2,
            )
            named = True
    names = [column.label.removesuffix("\nR²") for column in columns]
    axes.set_xticks(range(len(columns)), names, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_ylabel("R²" if columns[0].style == "r2" else "top-1, %")
    axes.set_title(table.title, fontsize=9)
    if columns[0].style == "percent":
        axes.set_ylim(0, 100)
    else:  # a hopeless R² is cut at -1, so that the good ones can be told apart
        axes.set_ylim(max(-1.0, min(0.0, axes.get_ylim()[0])), 1)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
