"""What a choice of clusters is like: sizes, entropies, and what it says of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfinder.information.discrete import Information, entropy_of_counts, information
from viewfinder.information.shuffled import Chance
from viewfinder.positives.assignment import Assignment

BATCH = 256


@dataclass(frozen=True)
class Measured:
    """One choice of clusters, measured on n data; entropies in nats.

    value        the constructor's parameter
    clusters     K
    sizes        of the clusters: least, 25 %, median, 75 % and greatest
    singletons   share of the data that are alone in their cluster
    in_batch     other data of the same cluster that a datum meets in a batch of ``BATCH``, on
                 average: (BATCH - 1) sum_c n_c (n_c - 1) / (n (n - 1))
    h_z          H(Z)
    information  about labels T, where there are labels
    chance       what shuffled labels give, where that was measured
    """

    value: Any
    n: int
    clusters: int
    sizes: tuple[float, float, float, float, float]
    singletons: float
    in_batch: float
    h_z: float
    information: Information | None = None
    chance: Chance | None = None

    @property
    def is_chance(self) -> bool:
        """Whether shuffled labels say as much, or most of it: then Z is no guide to the labels."""
        i = self.information
        if i is None:
            return False
        return i.i_expected > i.i / 2 or (self.chance is not None and not self.chance.beyond)


def measure(value: Any, made: Assignment, labels: np.ndarray | None = None) -> Measured:
    """Measure one choice of clusters, against labels int64 (N,) where there are any.

    Data that the clusters leave out (``keep``) do not count; those without a label (-1) not for
    what is measured against labels.
    """
    z = made.clusters if made.keep is None else made.clusters[made.keep]
    sizes = np.bincount(z)
    sizes = sizes[sizes > 0]
    n = len(z)
    found = None
    if labels is not None:
        t = labels if made.keep is None else labels[made.keep]
        found = information(z[t >= 0], t[t >= 0])
    pairs = float(np.sum(sizes * (sizes - 1.0)))
    least, low, middle, high, most = np.quantile(sizes, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Measured(
        value=value,
        n=n,
        clusters=len(sizes),
        sizes=(least, low, middle, high, most),
        singletons=float((sizes == 1).sum() / n),
        in_batch=(BATCH - 1) * pairs / (n * max(1, n - 1)),
        h_z=entropy_of_counts(sizes),
        information=found,
    )
