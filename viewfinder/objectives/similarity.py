"""Unit vectors: what every cosine similarity of the objectives is made of."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from viewfinder.core.expect import check_same_device, check_word

Similarity = Literal["cosine", "dot"]
"""How vectors are compared: the cosine of their angle, or the dot product of them as they are."""


def unit(x: Tensor) -> Tensor:
    """Rows of ``x`` (..., D) divided by their L2 norm, in float32 or better.

    A row of zeros has no direction: it stays zero and its gradient is zero, where dividing by a
    small epsilon instead would give a finite but ruinous gradient of about 1e12.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = float32_or_better(x)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    zero = norm == 0
    return (x / norm.masked_fill(zero, 1)).masked_fill(zero, 0)


def compared(x: Tensor, similarity: Similarity) -> Tensor:
    """Rows of ``x`` (..., D) whose dot products are the similarities, in float32 or better.

    Raises ValueError for an unknown similarity.

    >>> compared(torch.tensor([[3.0, 4.0]]), "dot").tolist()
    [[3.0, 4.0]]
    """
    check_word("similarity", similarity, Similarity)
    return unit(x) if similarity == "cosine" else float32_or_better(x)


def float32_or_better(x: Tensor) -> Tensor:
    """``x``, converted where it is in half precision: sums over a batch would lose it."""
    if not x.is_floating_point():
        raise ValueError(f"vectors must be floating point, not {x.dtype}")
    return x.float() if torch.finfo(x.dtype).bits < 32 else x


def rowwise(x: Tensor, y: Tensor) -> Tensor:
    """Dot products of matching rows: (N, D), (N, D) -> (N,)."""
    return (x * y).sum(dim=-1)


def check_pair(first: Tensor, second: Tensor, names: tuple[str, str]) -> None:
    """Raise ValueError unless both are (N, D) of one shape, N and D >= 1, on one device."""
    if first.ndim != 2 or first.shape != second.shape or not first.numel():
        raise ValueError(
            f"{names[0]} and {names[1]} must both be (N, D) of one shape, N and D at least 1, "
            f"not {tuple(first.shape)} and {tuple(second.shape)}"
        )
    check_same_device(names[1], second, names[0], first)
