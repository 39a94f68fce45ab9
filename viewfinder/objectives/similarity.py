"""How vectors are compared: what every similarity of the objectives is made of."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from viewfinder.core.expect import check_same_device, check_word
from viewfinder.core.vectors import float32_or_better, unit

__all__ = ["Similarity", "check_pair", "compared", "float32_or_better", "rowwise", "unit"]

Similarity = Literal["cosine", "dot"]
"""How vectors are compared: the cosine of their angle, or the dot product of them as they are."""


def compared(x: Tensor, similarity: Similarity) -> Tensor:
    """Rows of ``x`` (..., D) whose dot products are the similarities, in float32 or better.

    Raises ValueError for an unknown similarity.

    >>> import torch
    >>> compared(torch.tensor([[3.0, 4.0]]), "dot").tolist()
    [[3.0, 4.0]]
    """
    check_word("similarity", similarity, Similarity)
    return unit(x) if similarity == "cosine" else float32_or_better(x)


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
