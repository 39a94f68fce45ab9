"""Outliers: images that are far from all others in the embedding."""

from __future__ import annotations

import numpy as np

from viewfinder.runs.neighbour_graph import NeighbourGraph

NEAREST = 10
"""Neighbours that an image is measured by: more than it has copies."""
DEVIATIONS = 2.5


def outlier_scores(graph: NeighbourGraph, k: int = NEAREST) -> np.ndarray:
    """float32 (N,): 1 minus the mean cosine similarity with the k nearest others (Ramaswamy et al.
    2000; Sun et al. 2022 for deep features); k is at most the graph's."""
    score: np.ndarray = 1 - graph.similarity[:, :k].mean(axis=1)
    return score.clip(0)


def unusual(values: np.ndarray, deviations: float = DEVIATIONS) -> np.ndarray:
    """bool (N,): where the logarithm of positive values is more than so many deviations above the
    median, the deviation taken as 1.4826 times the median of absolute deviations (Iglewicz and
    Hoaglin 1993, whose limit of 3.5 misses most of planted outliers). None where more than half of
    the values are equal.

    >>> unusual(np.array([1.0, 1.1, 0.9, 1.05, 0.95, 30.0])).tolist()
    [False, False, False, False, False, True]
    """
    logs = np.log(np.maximum(values, 1e-9))
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    found: np.ndarray = (logs - middle > deviations * spread) & (spread > 0)
    return found
