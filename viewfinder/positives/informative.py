"""Which columns of a table say something of the labels, beyond what chance says; or, without
labels, what they say of one another and whether neighbours share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from viewfinder.data.source import Attributes
from viewfinder.information.discrete import Information, entropy, information
from viewfinder.information.shuffled import Chance, chances

COPY = 0.95
"""Adjusted mutual information from which on a column is the label under another name."""
ALIKE = 0.5
"""Adjusted mutual information from which on two columns largely repeat each other."""
COMPARED = 40
"""Columns, those of highest entropy, that are compared with one another."""


@dataclass(frozen=True)
class Column:
    """A column of the table, entropies in nats.

    values       how many it has; a missing one counts as a value, as it does in clusters
    missing      of how many images it is missing
    h            its entropy
    information  about the labels, and ``chance``, what shuffled labels give; None without labels
    agreement    by how much more often than chance neighbours share it; None: not asked
    """

    name: str
    values: int
    missing: int
    h: float
    information: Information | None = None
    chance: Chance | None = None
    agreement: float | None = None

    @property
    def beyond(self) -> float | None:
        """I(column;T) less its mean under shuffled labels: what it says of the labels, unbiased
        where it says nothing (Vinh et al. 2010); nats. None without labels."""
        i = self.information
        return None if i is None else i.nats.i - i.nats.i_expected

    @property
    def is_copy(self) -> bool:
        """Whether it is the label under another name, up to a few mistakes."""
        return self.information is not None and self.information.ami >= COPY

    @property
    def tells(self) -> bool:
        """Whether it says more of the labels than chance, and is no copy of them."""
        return self.chance is not None and self.chance.beyond and not self.is_copy


def informative(
    table: Attributes,
    labels: np.ndarray | None = None,
    near: np.ndarray | None = None,
    seed: int = 0,
) -> list[Column]:
    """The columns that differ at all, ranked: by what they say of the labels int64 (N,) (-1:
    unknown) beyond chance; without labels by how much neighbours share them; else by entropy.

    near  int64 (N, k), rows of each image's neighbours, -1 where one is not of the table

    >>> table = Attributes(np.array([[0, 1], [0, 0], [1, 1], [1, 0]] * 10), ["round", "red"])
    >>> [(c.name, c.tells) for c in informative(table, np.array([0, 0, 1, 2] * 10))]
    [('round', True), ('red', True)]
    """
    known = None if labels is None else labels >= 0
    used = [c for c in range(table.values.shape[1]) if np.ptp(table.values[:, c])]
    told: Sequence[Information | None] = [None] * len(used)
    by_chance: Sequence[Chance | None] = [None] * len(used)
    if labels is not None and known is not None and known.any():
        columns = [table.values[known, c] for c in used]
        told = [information(column, labels[known]) for column in columns]
        by_chance = chances(columns, labels[known], seed)
    found = [
        Column(
            name=str(table.names[c]),
            values=len(np.unique(table.values[:, c])),
            missing=int((table.values[:, c] == -1).sum()),
            h=entropy(table.values[:, c]),
            information=i,
            chance=chance,
            agreement=None if near is None else agreement(table.values[:, c], near),
        )
        for c, i, chance in zip(used, told, by_chance, strict=True)
    ]
    return sorted(found, key=_rank)


def _rank(column: Column) -> tuple[float, float]:
    if column.beyond is not None:
        return -column.beyond, -column.h
    return 0.0 if column.agreement is None else -column.agreement, -column.h


def agreement(values: np.ndarray, near: np.ndarray) -> float:
    """By how much more often than any two images neighbours have the same value: (a - e) / (1 - e),
    a the share of neighbours int64 (N, k) (-1: none) with the image's own value, e that of all
    other images. 1: always, 0: as chance has it (Cohen's kappa, with the margins of all pairs).

    >>> agreement(np.array([0, 0, 1, 1]), np.array([[1], [0], [3], [2]]))
    1.0
    """
    there = near >= 0
    n = len(values)
    if n < 2 or not there.any():
        return 0.0
    same = (values[near] == values[:, None])[there].mean()
    sizes = np.unique(values, return_counts=True)[1].astype(float)
    by_chance = (sizes * (sizes - 1)).sum() / (n * (n - 1))
    return float((same - by_chance) / (1 - by_chance)) if by_chance < 1 else 0.0


def without(table: Attributes, names: Sequence[str]) -> Attributes:
    """The table without the columns of these names."""
    keep = [c for c, name in enumerate(table.names) if str(name) not in names]
    return Attributes(table.values[:, keep], [table.names[c] for c in keep], table.value_names)


def repeats(table: Attributes, columns: Sequence[Column]) -> list[tuple[str, str, float]]:
    """Pairs of columns that largely say the same, with their adjusted mutual information, the
    closest first; among the 40 columns of highest entropy."""
    at = {str(name): c for c, name in enumerate(table.names)}
    widest = sorted(columns, key=lambda c: -c.h)[:COMPARED]
    order = {c.name: place for place, c in enumerate(columns)}
    pairs = []
    for a, b in combinations(sorted(widest, key=lambda c: order[c.name]), 2):
        ami = information(table.values[:, at[a.name]], table.values[:, at[b.name]]).ami
        if ami >= ALIKE:
            pairs.append((a.name, b.name, ami))
    return sorted(pairs, key=lambda pair: -pair[2])
