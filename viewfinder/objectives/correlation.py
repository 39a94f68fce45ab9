"""Statistics over a batch that Barlow Twins and VICReg are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from viewfinder.objectives.log_partition import full_precision, row_blocks


def check_statistics(samples: int) -> None:
    """Raise ValueError where a batch is too small to have statistics."""
    if samples < 2:
        raise ValueError(
            f"a loss on the statistics of a batch needs at least two samples, not {samples}: a "
            "single one has no spread"
        )


def squared_norm(x: Tensor, y: Tensor) -> Tensor:
    """|| x^T y ||^2, the sum of all squared entries: (N, D), (N, D) -> scalar.

    The (D, D) matrix is never held. With few samples the same number comes from two (N, N)
    matrices, since || x^T y ||^2 = sum_ij (x x^T)_ij (y y^T)_ij, which is less work too; with many,
    the matrix is computed some rows at a time, and each block is turned into its share of the
    gradients at once. For a second derivative the
    matrix is held after all.
    """
    with full_precision(x):
        if 2 * len(x) <= x.shape[1]:
            return ((x @ x.T) * (y @ y.T)).sum()
        return _ByBlocks.apply(x, y)


class _ByBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        total = x.new_zeros(())
        wanted = any(ctx.needs_input_grad)
        to_x, to_y = torch.empty_like(x), torch.zeros_like(y)
        for columns in row_blocks(x.shape[1], y.shape[1], x.device):
            block = x[:, columns].T @ y
            total += block.view(-1).dot(block.view(-1))
            if wanted:
                to_x[:, columns] = y @ block.T
                to_y.addmm_(x[:, columns], block)
        if wanted:
            ctx.save_for_backward(x, y, to_x, to_y)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, y, to_x, to_y = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph: the shares of the blocks are constants
            with full_precision(x):
                matrix = x.T @ y
                to_x, to_y = y @ matrix.T, x @ matrix
        return 2 * gradient * to_x, 2 * gradient * to_y
