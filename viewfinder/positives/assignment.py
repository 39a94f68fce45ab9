"""Z: which data count as the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Centroids:
    """Where the clusters of one clustering lie among the features (N, D) they were made of.

    vectors   float32 (K, D)
    distance  float32 (N,), squared Euclidean distance of each feature to its cluster's vector
    """

    vectors: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Assignment:
    """What counts as the same among N data, in one of three forms.

    z          int64 (N,), dense: every number in 0..K-1 occurs; (N, M) for M clusterings; None
               where each datum is its own, or tags say it
    tags       bool (N, T): data are the same as far as they have tags in common
    keep       bool (N,), False for data that are to be left out of training; None: all stay. Their
               entry of z is a valid cluster nevertheless
    notes      sentences for the user on what was decided on the way
    centroids  one for each clustering, where it has them

    >>> Assignment(dense([7, -1, 7])).sizes()
    array([1, 2])
    """

    z: np.ndarray | None = None
    tags: np.ndarray | None = field(default=None, repr=False)
    keep: np.ndarray | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    centroids: tuple[Centroids, ...] = field(default=(), repr=False)

    @property
    def clusters(self) -> np.ndarray:
        """``z`` of a single clustering, int64 (N,); raises ValueError where there is none."""
        if self.z is None or self.z.ndim != 1:
            shape = None if self.z is None else self.z.shape
            raise ValueError(f"z is {shape}; one cluster for each datum, (N,), is expected")
        return self.z

    @property
    def count(self) -> int:
        """K, the number of clusters of a single clustering."""
        return int(self.clusters.max()) + 1

    def sizes(self) -> np.ndarray:
        """Number of data in each cluster of a single clustering, int64 (K,)."""
        return np.bincount(self.clusters, minlength=self.count)

    @property
    def rows(self) -> np.ndarray | None:
        """The positions to train on, int64; None: all."""
        return None if self.keep is None else np.flatnonzero(self.keep)

    def noted(self, notes: Iterable[str]) -> Assignment:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def each_other_its_own(made: Assignment, known: np.ndarray) -> Assignment:
    """One clustering of the data where ``known``, bool (N,), is True, as an assignment of all N:
    each of the others is a cluster of its own.

    >>> each_other_its_own(Assignment(np.array([0, 0])), np.array([True, False, True])).z
    array([0, 1, 0])
    """
    if known.all():
        return made
    z = np.empty(len(known), np.int64)
    z[known] = made.clusters
    z[~known] = made.count + np.arange(int((~known).sum()))
    return replace(made, z=z)


def dense(values: ArrayLike) -> np.ndarray:
    """Any values (N,) as clusters int64 (N,), numbered in their order.

    >>> dense([7, -1, 7])
    array([1, 0, 1])
    """
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"clusters have shape {array.shape}; (N,) with N >= 1 is expected")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)
