"""What is chosen for an arm before it is judged: among what, by what scores, and how it is told.

An arm of an experiment may leave values of its recipe open, a learning rate, say: ``Cell.choices``
has the candidates. ``viewfinder.papers.desk.choose`` trains each on a part of train with ``SEEDS``
and scores it on the rest of train; neither the test images nor the seeds of the comparison are
looked at.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.papers.result import table

SEEDS = (1000, 1001)
"""Of all choices. The seeds that arms are judged on are counted from 0, and never get here."""

Candidates = Mapping[str, Mapping[str, Any]]
"""What may be chosen: overrides of a recipe, under the words that they are told by."""
Scores = Mapping[str, Sequence[float | None]]
"""Of each candidate the accuracy on held-out rows of train, a number a seed; None: it stopped."""

RULE = (
    "What was chosen, among what: accuracy in percent on a fifth of train that was held out from "
    f"training, in the mean over the seeds {', '.join(map(str, SEEDS))}, which no arm is judged on."
)


def product(**axes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """All combinations of the candidates of several axes.

    >>> rates = {"lr 0.1": {"optimizer": {"lr": 0.1}}, "lr 1": {"optimizer": {"lr": 1}}}
    >>> list(product(rate=rates, queue={"queue 9": {"negatives": {"size": 9}}}))
    ['lr 0.1, queue 9', 'lr 1, queue 9']
    """
    from viewfinder.recipes.recipe import merge

    chosen = itertools.product(*(axis.items() for axis in axes.values()))
    return {", ".join(word for word, _ in one): merge(*(part for _, part in one)) for one in chosen}


def learning_rates(*rates: float) -> dict[str, dict[str, Any]]:
    """Candidates that differ in ``optimizer.lr``."""
    return {f"lr {rate:g}": {"optimizer": {"lr": rate}} for rate in rates}


def temperatures(*values: float) -> dict[str, dict[str, Any]]:
    """Candidates that differ in ``objective.temperature``."""
    return {f"temperature {t:g}": {"objective": {"temperature": t}} for t in values}


def queues(*sizes: int) -> dict[str, dict[str, Any]]:
    """Candidates that differ in ``negatives.size``."""
    return {f"queue {size}": {"negatives": {"size": size}} for size in sizes}


def best(scores: Scores) -> str:
    """The candidate of the highest mean; the first of equals, and where all have stopped.

    >>> best({"a": [0.5, 0.6], "b": [0.7, 0.6], "c": [0.9, None]})
    'b'
    """

    def mean(word: str) -> float:
        known = [value for value in scores[word] if value is not None]
        whole = known and len(known) == len(scores[word])
        return statistics.fmean(known) if whole else -1.0

    return max(scores, key=mean)


def choice_table(numbers: Mapping[str, Any]) -> str:
    """Of each arm of results.json that left something open, what was chosen; else nothing."""
    rows = [
        [name, choice["chosen"], "; ".join(_told(*one) for one in choice["among"].items())]
        for name, arm in numbers.items()
        if (choice := arm.get("choice"))
    ]
    return table(["arm", "chosen", "among"], rows, RULE) if rows else ""


def _told(word: str, scores: Sequence[float | None]) -> str:
    if not scores:
        return word
    known = [value for value in scores if value is not None]
    whole = len(known) == len(scores)
    return f"{word}: {100 * statistics.fmean(known):.1f}" if whole else f"{word}: stopped"
