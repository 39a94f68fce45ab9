"""Sinkhorn-Knopp: assignments that use all prototypes alike (SwAV)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from viewfinder.objectives.similarity import float32_or_better


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Soft assignments of N samples to K prototypes, each prototype with about N / K of them.

    (Caron et al. 2020, equations 3 to 5.) Q = exp(scores / epsilon), then ``iterations`` times:
    each prototype's column is scaled to sum to N / K, then each sample's row to sum to 1. The rows
    are exact, the columns the closer the more iterations. It is done on the logarithms, so no score
    is too large for any precision, and half precision is converted to float32.

    scores   float (N, K), similarities with the prototypes; of all ranks where there are several
    epsilon  > 0; smaller is sharper
    Returns Q, float (N, K), float32 or better, without gradient. Raises ValueError for other shapes
    or options.

    >>> sinkhorn(torch.tensor([[9.0, 8.0], [9.0, 2.0]])).round().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if scores.ndim != 2 or not scores.numel():
        raise ValueError(f"scores must be (N, K), not {tuple(scores.shape)}")
    if epsilon <= 0 or iterations < 1:
        raise ValueError(
            f"epsilon must be positive and iterations at least 1, not {epsilon} and {iterations}"
        )
    log_q = float32_or_better(scores) / epsilon
    share = math.log(len(scores) / scores.shape[1])
    for _ in range(iterations):
        log_q = log_q - log_q.logsumexp(dim=0, keepdim=True) + share
        log_q = F.log_softmax(log_q, dim=1)
    return log_q.exp()
