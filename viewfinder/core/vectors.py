"""Unit vectors of any scale: what every cosine is made of."""

from __future__ import annotations

import torch
from torch import Tensor


def float32_or_better(x: Tensor) -> Tensor:
    """``x``, converted where it is in half precision: sums over a batch would lose it."""
    if not x.is_floating_point():
        raise ValueError(f"vectors must be floating point, not {x.dtype}")
    return x.float() if torch.finfo(x.dtype).bits < 32 else x


def unit(x: Tensor) -> Tensor:
    """Rows of ``x`` (..., D) divided by their L2 norm, in float32 or better.

    Of any scale: a power of two is divided out first, which changes no digit, so that squares
    neither overflow nor vanish. A row of zeros, or of numbers too small to keep their digits, has
    no direction: it becomes zero and its gradient is zero, where dividing by a small epsilon
    instead would give a finite but ruinous gradient of about 1e12. A row that is not finite gives
    NaN.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = float32_or_better(x)
    x = x * to_about_one(x, -1)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    zero = norm < 0.25  # the largest number is 1/2 or more but where there is no direction
    return (x / norm.masked_fill(zero, 1)).masked_fill(zero, 0)


def to_about_one(x: Tensor, dim: int, least: float = 0.0) -> Tensor:
    """The power of two that brings the largest number along ``dim`` into [1/2, 1), as a constant;
    what is below ``least`` is not enlarged, nor what has lost its digits. Nearly the largest
    numbers there are end in [1/2, 8]."""
    known = torch.finfo(x.dtype)
    top = x.detach().abs().amax(dim=dim, keepdim=True)
    top = top.clamp(max(known.tiny, least), known.max / 8)
    return top.frexp().mantissa / top
