"""The information that chance alone gives: the expectation behind adjusted mutual information."""

from __future__ import annotations

import numpy as np

_CHUNK = 1 << 13  # pairs worked on together: a dozen such vectors stay in the cache
_BLOCK = 1 << 20  # pairs listed together
_NEGLIGIBLE = 1e-18  # of the mode's probability


def expected_sum_x_log_x(n_z: np.ndarray, n_t: np.ndarray) -> float:
    """Sum over all clusters i and classes j of E[X log X], X hypergeometric(N, n_z[i], n_t[j]).

    X is the number of data that cluster i and class j share when labels are shuffled; the expected
    mutual information is this sum / N + H(Z) + H(T) - log N. n_z (K,) and n_t (C,) are positive
    counts with equal sums N.

    Only distinct sizes are worked on, weighted by how often they occur; X is 0 or 1 for singletons,
    which gives nothing. The probabilities are built outward from the mode by their ratios and
    divided by their own sum: no difference of large log-factorials, so the precision of float64
    is kept at any N.
    """
    total = float(n_z.sum())
    a, a_times = np.unique(n_z[n_z > 1], return_counts=True)
    b, b_times = np.unique(n_t[n_t > 1], return_counts=True)
    if len(a) == 0 or len(b) == 0:
        return 0.0
    if len(a) > len(b):
        a, a_times, b, b_times = b, b_times, a, a_times
    rows = max(1, _BLOCK // len(b))
    result = 0.0
    for start in range(0, len(a), rows):
        block = slice(start, start + rows)
        left = np.repeat(a[block].astype(np.float64), len(b))
        right = np.tile(b.astype(np.float64), len(a[block]))
        times = np.outer(a_times[block], b_times).ravel()
        order = np.argsort(left * right)  # chunks of like width, so that none waits for another
        for chunk in np.array_split(order, -(-len(order) // _CHUNK)):
            result += float(np.dot(times[chunk], _mean_x_log_x(total, left[chunk], right[chunk])))
    return result


def _mean_x_log_x(n: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """E[X log X] for X hypergeometric(n, a, b), elementwise; a, b float64 (P,) of whole numbers."""
    mode = np.floor((a + 1) * (b + 1) / (n + 2))
    rest = n - a - b
    mass = np.ones_like(a)
    mean = _x_log_x(mode)

    x, weight = mode.copy(), np.ones_like(a)
    while weight.max() > _NEGLIGIBLE:
        weight *= (a - x) * (b - x) / ((x + 1) * (rest + x + 1))
        x += 1
        mass += weight
        mean += weight * _x_log_x(x)

    x, weight = mode.copy(), np.ones_like(a)
    while weight.max() > _NEGLIGIBLE:
        weight *= x * (rest + x) / ((a - x + 1) * (b - x + 1))
        x -= 1
        mass += weight
        mean += weight * _x_log_x(x)
    return mean / mass


def _x_log_x(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.maximum(x, 1))  # beyond the support the weight is 0: any finite value does
