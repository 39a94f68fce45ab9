"""Whether an arm was trained: how far its loss went between chance and the least there is.

A method that was hardly trained is no evidence of what the method can do. ``gauge`` reads from a
cell's recipe what its objective's row declares, and from its runs where the loss ended.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HALF = 0.5


@dataclass(frozen=True)
class Way:
    """How far the runs of one cell went; what is not known is None, and ``unknown`` says why.

    chance, least   the loss where the network tells nothing, and the least there can be
    last            the loss of the last epoch, a number a seed
    """

    chance: float | None = None
    least: float | None = None
    last: tuple[float, ...] = ()
    unknown: str = ""

    @property
    def share(self) -> float | None:
        """Of the way from chance to the least loss, in the mean over the seeds."""
        if self.chance is None or self.least is None or not self.last:
            return None
        return (self.chance - statistics.fmean(self.last)) / (self.chance - self.least)

    @property
    def failed(self) -> bool:
        """Whether less than half of the way is known to have been gone."""
        return self.share is not None and self.share < HALF


def gauge(recipe: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]]) -> Way | None:
    """How far the runs of a cell went; None for one that trains nothing.

    recipe   its overrides, those that all runs share among them
    seeds    the results of its runs, see ``viewfinder.papers.desk_train.train``

    With clusters the least loss depends on how many images of one a batch holds: they are taken for
    as many equal clusters as their entropy tells.
    """
    from viewfinder.core.errors import UserError

    if not any(run["epochs"] for run in seeds):
        return None
    if any(run["stopped"] for run in seeds):
        return Way(unknown="stopped")
    try:
        chance, least, regularized = _ends(recipe, seeds[0]["information"])
    except UserError as error:  # a stored recipe may name what is no longer there
        return Way(unknown=str(error))
    key = "objective" if regularized else "loss"
    last = [run["epochs"][-1].get(key) for run in seeds]
    if None in last:
        return Way(chance, least, (), "only with its regularizers")
    if chance is None or least is None:
        return Way(chance, least, tuple(last), "has no known end")
    return Way(chance, least, tuple(last))


def _ends(
    overrides: Mapping[str, Any], clusters: Mapping[str, float] | None
) -> tuple[float | None, float | None, bool]:
    """Chance, least loss, and whether the logged loss has regularizers in it."""
    from viewfinder.negatives.table import NEGATIVES
    from viewfinder.objectives.table import OBJECTIVES
    from viewfinder.recipes.recipe import build

    recipe = build(None, overrides)
    row, options = OBJECTIVES[recipe.objective.name], recipe.objective.options()
    samples, views = recipe.batch_size, recipe.views.count
    if NEGATIVES[recipe.negatives.name].kind == "table":
        chosen = recipe.negatives.options()
        drawn = recipe.negatives.row.drawn(chosen) or getattr(chosen, "size", None)
        if drawn is None:  # all rows of a memory, whose number is that of the images
            return None, None, bool(recipe.regularizers.chosen)
        samples = drawn + 1  # and the key
    classes: float = samples
    if "clusters" in row.positives and recipe.positives.name != "instance" and clusters:
        equal = 2 ** (clusters["i"] + clusters["h_z_given_t"])  # H(Z) = I(Z;T) + H(Z|T)
        classes = samples / (1 + (samples - 1) / equal)
    width = getattr(options, "prototypes", None) or (recipe.head.projector or [0])[-1]
    outputs = round(clusters["clusters"]) if clusters else samples
    chance = row.chance and row.chance(options, samples, views, outputs, width)
    least = row.minimum and row.minimum(options, samples, views, classes)
    return chance, least, bool(recipe.regularizers.chosen)
