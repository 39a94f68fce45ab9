"""Outliers: images that are far from all others in the embedding."""

from __future__ import annotations

import numpy as np

from viewfinder.runs.neighbour_graph import NeighbourGraph

NEAREST = 10
"""Neighbours that an image is measured by: more than it has copies."""
DEVIATIONS = 2.5
BLOCK = 256


def outlier_scores(vectors: np.ndarray, graph: NeighbourGraph, k: int = NEAREST) -> np.ndarray:
    """float32 (N,): the mean Euclidean distance of each vector float (N, D) to the k nearest of its
    neighbours in the graph (Ramaswamy et al. 2000; Sun et al. 2022 for deep features), as a
    multiple of the median of all: 1 is usual. Zeros where most are equal to their neighbours.

    The graph is by direction alone, the distance is not: the length of a feature says much of
    whether an image is strange, and without it most planted strangers are missed.
    """
    found = np.empty(len(graph), np.float32)
    for start in range(0, len(graph), BLOCK):
        own, near = vectors[start : start + BLOCK], graph.near[start : start + BLOCK]
        apart = np.linalg.norm(vectors[near] - own[:, None], axis=2)
        found[start : start + BLOCK] = np.sort(apart, axis=1)[:, :k].mean(axis=1)
    usual = np.median(found)
    return found / usual if usual > 0 else np.zeros_like(found)


def unusual(values: np.ndarray, deviations: float = DEVIATIONS) -> np.ndarray:
    """bool (N,): where the logarithm of positive values is more than so many deviations above the
    median, the deviation taken as 1.4826 times the median of absolute deviations (Iglewicz and
    Hoaglin 1993, whose limit of 3.5 misses most of planted outliers). None where more than half of
    the values are equal.

    >>> unusual(np.array([1.0, 1.1, 0.9, 1.05, 0.95, 30.0])).tolist()
    [False, False, False, False, False, True]
    """
    if not len(values):
        return np.zeros(0, bool)
    logs = np.log(np.maximum(values, 1e-9))
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    found: np.ndarray = (logs - middle > deviations * spread) & (spread > 0)
    return found
