"""Which views are compared with which: the pairs of a step and their directions, formed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from viewfinder.core.table import Row, Table
from viewfinder.objectives.contract import Objective

Pair = tuple[int, int]
"""The positions of a query's view and of its key's."""


@dataclass(frozen=True, kw_only=True)
class Pairing(Row):
    """A row of the table of pairings.

    form   (network of each view, number of large views) -> the pairs, a query and a key each.
           Small views are queries alone; with a single view it is its own key, which a memory of
           earlier outputs takes the place of
    least  fewest views that it is of use for
    small  whether small views take part
    """

    form: Callable[[Sequence[str], int], list[Pair]]
    least: int = 2
    small: bool = False


def _one_way(networks: Sequence[str], large: int) -> list[Pair]:
    return [(0, large - 1)]


def _symmetric(networks: Sequence[str], large: int) -> list[Pair]:
    return [(0, large - 1), (large - 1, 0)]


def _all(networks: Sequence[str], large: int) -> list[Pair]:
    return [(i, j) for i in range(len(networks)) for j in range(large) if i != j]


def _across(networks: Sequence[str], large: int) -> list[Pair]:
    return [(i, j) for i, j in _all(networks, large) if networks[i] != networks[j]]


def _to_last(networks: Sequence[str], large: int) -> list[Pair]:
    key = large - 1
    return [(i, key) for i in range(len(networks)) if i != key or large == 1]


PAIRINGS = Table(
    "pairing",
    [
        Pairing(
            name="one-way",
            summary="the first large view is the query of the last one, or of its own memory",
            form=_one_way,
            least=1,
        ),
        Pairing(
            name="symmetric",
            summary="the first and the last large view are each other's query",
            form=_symmetric,
        ),
        Pairing(
            name="all",
            summary="each view is the query of every other large one",
            form=_all,
            small=True,
        ),
        Pairing(
            name="across",
            summary="each view is the query of every large one that another network takes",
            form=_across,
            small=True,
        ),
        Pairing(
            name="to-last",
            summary="every other view is the query of the last large one; a single large view is "
            "the query of its own memory too",
            form=_to_last,
            least=1,
            small=True,
        ),
    ],
)


def pairs_of(objective: Objective, pairing: str, networks: Sequence[str], large: int) -> list[Pair]:
    """The pairs an objective scores, each once where its pairs have no direction.

    networks  the network of each view, the large ones first
    large     how many views are large; only those are keys

    >>> from viewfinder.objectives.table import OBJECTIVES
    >>> pairs_of(OBJECTIVES["info-nce"], "symmetric", ["main", "main"], 2)
    [(0, 1), (1, 0)]
    >>> pairs_of(OBJECTIVES["nt-xent"], "all", ["main"] * 3, 3)
    [(0, 1), (0, 2), (1, 2)]
    """
    formed = PAIRINGS.find(pairing).form(networks, large)
    if objective.ordered:
        return formed
    return [(i, j) for n, (i, j) in enumerate(formed) if (j, i) not in formed[:n]]


def combined(
    terms: Sequence[Mapping[str, Tensor]],
    *,
    summed: bool,
    weights: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """The terms of several pairs as one: their weighted mean, or for ``summed`` the same times
    their number as the loss. Without weights all count alike.

    >>> combined([{"loss": torch.tensor(1.0)}, {"loss": torch.tensor(5.0)}], summed=False,
    ...          weights=[0.75, 0.25])
    {'loss': tensor(2.)}
    """
    if len(terms) == 1:
        return dict(terms[0])
    share = [1.0] * len(terms)
    if weights is not None:
        share = [weight * len(terms) / sum(weights) for weight in weights]
    mean = {
        name: torch.stack([one[name] * w for one, w in zip(terms, share, strict=True)]).mean(dim=0)
        for name in terms[0]
    }
    return {**mean, "loss": mean["loss"] * len(terms)} if summed else mean
