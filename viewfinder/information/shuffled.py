"""What chance alone says of the labels: information between clusters and shuffled labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfinder.core.randomness import numpy_generator

SHUFFLES = 199
"""Shuffles of the labels where data are few: the least p is then 1 / 200."""
FEWEST_SHUFFLES = 39
WORK = 100_000_000
"""Labels that are shuffled, all columns and shuffles taken together, before shuffles get fewer."""
LEVEL = 0.05
"""Of all clusterings that have nothing to do with the labels, taken together, the share of the
cases in which one is nevertheless said to tell something."""

_DENSE_CELLS = 1 << 22


@dataclass(frozen=True)
class Chance:
    """What shuffled labels give for one clustering, entropies in nats.

    low, high  between them lie 95 % of the plug-in I(Z;T) of shuffled labels
    p          how often, among all clusterings tested together, the most surprising one of shuffled
               labels is as surprising as this: (1 + times) / (1 + shuffles)
    """

    low: float
    high: float
    p: float

    @property
    def beyond(self) -> bool:
        """Whether Z says of the labels what chance does not."""
        return self.p <= LEVEL


def chances(columns: Sequence[np.ndarray], labels: np.ndarray, seed: int = 0) -> list[Chance]:
    """A permutation test of several clusterings (N,) against labels int64 (N,), together.

    The same shuffles of the labels are used for all, and each clustering is compared by how many
    standard deviations its I(Z;T) lies above the mean of its own shuffles; p is corrected for the
    number of clusterings by the largest of these (Westfall and Young 1993, single-step max T). Both
    margins stay as they are, so small clusters have no advantage. Where N is large there are fewer
    shuffles, at least 39.

    >>> labels = np.arange(60) % 3
    >>> [found.beyond for found in chances([labels == 0, np.arange(60) // 30], labels)]
    [True, False]
    """
    n = len(labels)
    if not len(columns) or n == 0:
        return []
    times = min(SHUFFLES, max(FEWEST_SHUFFLES, WORK // (n * len(columns))))
    generator = numpy_generator(seed, "shuffled labels")
    t, classes = _coded(labels)
    counts = np.arange(n + 1, dtype=np.float64)
    term = np.multiply(counts, np.log(counts, where=counts > 0, out=np.zeros(n + 1)))
    coded = [_coded(column) for column in columns]
    found = np.empty((times + 1, len(columns)))
    for row in found:  # the first of the labels as they are
        for j, (z, size) in enumerate(coded):
            row[j] = _information(z, size, t, classes, term)
        t = generator.permutation(t)
    own, shuffled = found[0], found[1:]
    # information below this is rounding
    spread = np.maximum(shuffled.std(axis=0), 1e-12)
    most = ((shuffled - shuffled.mean(axis=0)) / spread).max(axis=1)
    surprise = (own - shuffled.mean(axis=0)) / spread
    reached = (most[:, None] >= surprise - 1e-9).sum(axis=0)
    low, high = np.quantile(shuffled, [0.025, 0.975], axis=0)
    return [
        Chance(float(low[j]), float(high[j]), float((1 + reached[j]) / (1 + times)))
        for j in range(len(columns))
    ]


def _coded(values: np.ndarray) -> tuple[np.ndarray, int]:
    distinct, codes = np.unique(values, return_inverse=True)
    return codes.reshape(-1).astype(np.int64), len(distinct)


def _information(
    z: np.ndarray, clusters: int, t: np.ndarray, classes: int, term: np.ndarray
) -> float:
    """Plug-in I(Z;T) in nats, from ``term[n]`` = n log n."""
    pairs = z * classes + t
    if clusters * classes <= _DENSE_CELLS:
        cells = np.bincount(pairs, minlength=1)
    else:
        cells = np.unique(pairs, return_counts=True)[1]
    n = len(z)
    margins = term[np.bincount(z)].sum() + term[np.bincount(t)].sum()
    return max(0.0, float(term[cells].sum() - margins) / n + math.log(n))
