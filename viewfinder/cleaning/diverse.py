"""A few images that stand for many: what to label next."""

from __future__ import annotations

import numpy as np


def farthest_first(
    unit: np.ndarray, count: int, candidates: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Rows int64 (n,), n <= ``count``, of candidates, each the farthest from all chosen before it
    and from those ``known`` already (k-center greedy: Gonzalez 1985; for labels Sener and Savarese
    2018): the largest distance of a candidate to its nearest chosen one is at most twice the least
    that is possible. Where nothing is known the first is the candidate nearest to their mean.

    unit        float (N, D), rows of length 1
    candidates  int64, rows that may be chosen; ties go to the first
    known       int64, rows that are labelled
    """
    pool = unit[candidates]
    if not len(candidates) or count < 1:
        return np.zeros(0, np.int64)
    nearest = np.full(len(pool), -np.inf, np.float32)  # similarity with the nearest chosen one
    for start in range(0, len(known), 1024):
        block = pool @ unit[known[start : start + 1024]].T
        nearest = np.maximum(nearest, block.max(axis=1))
    chosen = [int((pool @ pool.mean(axis=0)).argmax() if not len(known) else nearest.argmin())]
    for _ in range(min(count, len(pool)) - 1):
        nearest = np.maximum(nearest, pool @ pool[chosen[-1]])
        nearest[chosen[-1]] = np.inf
        chosen.append(int(nearest.argmin()))
    found: np.ndarray = candidates[chosen]
    return found
