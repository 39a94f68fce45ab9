"""``viewfinder methods``: the rows of the tables that a recipe chooses from."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from viewfinder.core import plugins
from viewfinder.core.errors import unknown
from viewfinder.core.learning_rate import SCHEDULES
from viewfinder.core.table import Table as Rows
from viewfinder.data.sources.table import SOURCES
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.information.table import BOUNDS
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS
from viewfinder.networks.targets import TARGETS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.report.content import PARTS
from viewfinder.views.table import PRESETS, SPLITS, STEPS

TABLES: dict[str, Rows[Any]] = {
    "views": PRESETS,
    "steps": STEPS,
    "splits": SPLITS,
    "positives": POSITIVES,
    "negatives": NEGATIVES,
    "objectives": OBJECTIVES,
    "regularizers": REGULARIZERS,
    "encoders": ENCODERS,
    "targets": TARGETS,
    "schedules": SCHEDULES,
    "sources": SOURCES,
    "probes": PROBES,
    "bounds": BOUNDS,
}
"""The table of each part, by the word that lists it."""


def rows(part: str) -> Table:
    """The rows of one part, with what each is and where it comes from. Raises UserError where
    there is no such part.

    >>> rows("negatives").row_count >= 4
    True
    """
    plugins.load_installed()
    if part not in TABLES:
        raise unknown("part", part, TABLES)
    table = Table(title=part, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    table.add_column("paper")
    for row in TABLES[part].values():
        table.add_row(Text(row.name), Text(row.summary), Text(row.paper))
    return table


def methods() -> Group:
    """All methods by their five parts, and what each is in a line."""
    plugins.load_installed()
    recipes = {name: build(name) for name in METHODS}
    shown = [(name, *_five_parts(recipe)) for name, recipe in recipes.items()]
    headings = ["method", *PARTS]
    if all(row[-1] == "none" for row in shown):  # a column of nothing costs what 80 are short of
        shown, headings[-1:] = [row[:-1] for row in shown], []
    parts = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for heading in headings:
        parts.add_column(heading, overflow="fold")
    for row in shown:
        parts.add_row(*map(Text, row))
    lines = Table.grid(padding=(0, 2, 0, 0))
    for name, recipe in recipes.items():
        method = METHODS[name]
        target = recipe.target.name + (" with a predictor" if recipe.head.predictor else "")
        source = f" ({method.paper})" if method.paper else ""
        lines.add_row(Text(name), Text(f"{method.summary}; target {target}{source}"))
    title = f"Every method is a choice of five parts ({', '.join(PARTS)}); any can be overridden."
    rest = f"viewfinder methods PART lists the rows of a part: {', '.join(TABLES)}"
    return Group(title, "", parts, "", lines, "", rest)


def _five_parts(recipe: Recipe) -> tuple[str, ...]:
    """The five parts of a method, each in a word or two."""
    size = getattr(recipe.negatives.options(), "size", None)
    small = f" + {recipe.views.small_count} small" if recipe.views.small_count else ""
    return (
        f"{recipe.views.count} {recipe.views.preset or 'own steps'}{small}",
        recipe.positives.name,
        f"{recipe.negatives.name} {size}" if size else recipe.negatives.name,
        recipe.objective.name,
        str(recipe.regularizers),
    )
