"""VINCE, Wu et al. (2020): InfoNCE with negatives from a proposal q(y|y_1). Training losses, all.

Scores are (N, K), column 0 the positive f(x, y_1), the others f(x, y_j) with y_j ~ q(·|y_1). None
of the values may be reported as mutual information: equation 4 and corollary 3.1.1 exceed it on
worlds of two symbols, equation 3 and corollary 3.1.2 are negative whatever it is. Report InfoNCE of
the same critic with negatives from the marginal instead.

All functions give minus the printed value, to be minimised, as a scalar of the scores' dtype.
"""

from __future__ import annotations

import math

from torch import Tensor

from viewfinder.information.bounds import info_nce


def equation_4(scores: Tensor) -> Tensor:
    """−mean [f(x, y_1) − log (1/K) Σ_j e^f(x, y_j)], equation 4: what is trained in practice.

    With negatives far from y_1 it exceeds I(X;Y), with near ones it is far below.
    """
    return -info_nce(scores, 0)


def equation_3(scores: Tensor, ratios: Tensor) -> Tensor:
    """−mean [Π_j p(y_j)/q(y_j|y_1) · log (e^f(x, y_1) / Σ_j e^f(x, y_j))] + K − 1, theorem 3.1.

    ratios  (N, K−1), p(y_j) / q(y_j|y_1), which cannot be evaluated in practice

    The sum is printed without the 1/K of the proof in appendix B. Its mean is exactly I_NCE − log K
    − K + 1 whatever the proposal is, as the weights cancel: a bound, and never above 1 − K.
    """
    k = scores.shape[1]
    return -(ratios.prod(1) * (scores[:, 0] - scores.logsumexp(1))).mean() + k - 1


def corollary_3_1_1(scores: Tensor, acceptance: Tensor) -> Tensor:
    """−mean [Π_j 1/r(y_j|y_1) · log (e^f(x, y_1) / a)] + K − 1 with a = (1/K) Σ_j e^f(x, y_j).

    acceptance  (N, K−1) in (0, 1], that of rejection sampling from p(y)

    Leaves out that rejection sampling normalises, q = r p / Z(y_1): no bound.
    """
    return _weighted(scores, 1 / acceptance.prod(1))


def corollary_3_1_2(scores: Tensor, infimum: float | Tensor) -> Tensor:
    """−mean [c · log (e^f(x, y_1) / a)] + K − 1 with a = (1/K) Σ_j e^f(x, y_j).

    infimum  c = Π_j inf p(y)/q(y|y_1), in (0, 1], of all rows or (N,) of each

    The proof replaces a weight by a smaller one although what it multiplies may be negative: the
    value is not below that of equation 3, as is claimed. As c ≤ 1 it is at most log K − K + 1.
    """
    return _weighted(scores, infimum)


def _weighted(scores: Tensor, weight: float | Tensor) -> Tensor:
    k = scores.shape[1]
    terms = scores[:, 0] - scores.logsumexp(1)
    return -(weight * (terms + math.log(k))).mean() + k - 1
