"""Z: which data count as the same, as a vector of cluster numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from viewfinder.core.errors import UserError


@dataclass(frozen=True)
class Clusters:
    """A cluster assignment Z of N data.

    z       int64 (N,), dense: every number in 0..K-1 occurs
    notes   sentences for the user on what was decided on the way
    keep    bool (N,), False for data that are to be left out of training; None: all stay. Their
            entry of z is a valid cluster nevertheless
    """

    z: np.ndarray
    notes: tuple[str, ...] = ()
    keep: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def count(self) -> int:
        """K, the number of clusters."""
        return int(self.z.max()) + 1

    def sizes(self) -> np.ndarray:
        """Number of data in each cluster, int64 (K,)."""
        return np.bincount(self.z, minlength=self.count)

    def noted(self, notes: Iterable[str]) -> Clusters:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def dense(values: ArrayLike, notes: Iterable[str] = ()) -> Clusters:
    """Clusters from any values (N,), numbered in their order.

    >>> dense([7, -1, 7]).z
    array([1, 0, 1])
    """
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"clusters have shape {array.shape}; (N,) with N >= 1 is expected")
    return Clusters(np.unique(array, return_inverse=True)[1].astype(np.int64), tuple(notes))


def checked(clusters: Clusters, n: int) -> Clusters:
    """The clusters, if a contrastive objective can use them for ``n`` data.

    All singletons are allowed, and noted. Raises UserError for a Z of another length, and for a
    single cluster: all data would be positives of each other and there would be no negative.
    """
    if len(clusters) != n:
        raise UserError(
            f"the cluster assignment has {len(clusters)} entries and there are {n} images",
            fix="make it again from the same source, with the same data.limit and data.split",
        )
    if clusters.count == 1:
        raise UserError(
            f"all {n} images are in one cluster: each is a positive of each, no negatives are "
            "left, and the objective would be constant",
            fix="a finer choice: a larger top_k, level or k",
        )
    if clusters.count == n:
        return clusters.noted(
            ["every image is a cluster of its own: this is the same as positives=instance (SimCLR)"]
        )
    return clusters


def instance(n: int) -> Clusters:
    """Every datum its own cluster: CI-InfoNCE becomes InfoNCE (CI-InfoNCE, section 3.3)."""
    return Clusters(np.arange(n, dtype=np.int64))


def labels(values: ArrayLike) -> Clusters:
    """The labels (N,) as clusters: CI-InfoNCE becomes SupCon (CI-InfoNCE, section 3.3)."""
    return dense(values)
