"""Cosine objectives without negatives: SimSiam's negative cosine, BYOL's regression."""

from __future__ import annotations

from torch import Tensor

from viewfinder.objectives.similarity import check_pair, rowwise, unit


def negative_cosine(x0: Tensor, x1: Tensor) -> Tensor:
    """-mean_i cos(x0_i, x1_i), in [-1, 1] (Chen and He 2021, equation 1).

    x0, x1 float (N, D), any scale; gradients flow into both: give the target detached, or every
    encoder that maps all images to one point is a minimum. Returns a scalar.

    >>> import torch
    >>> negative_cosine(torch.eye(2), torch.eye(2)).item()
    -1.0
    """
    check_pair(x0, x1, ("x0", "x1"))
    return -rowwise(unit(x0), unit(x1)).mean()


def byol_regression(prediction: Tensor, target: Tensor) -> Tensor:
    """mean_i || p_i/|p_i| - t_i/|t_i| ||^2 = 2 - 2 cos, in [0, 4] (Grill et al. 2020, equation 2).

    One direction; BYOL's loss is the sum of both. The target is a constant: give it detached.

    >>> import torch
    >>> byol_regression(torch.eye(2), torch.eye(2)).item()
    0.0
    """
    return 2 + 2 * negative_cosine(prediction, target)
