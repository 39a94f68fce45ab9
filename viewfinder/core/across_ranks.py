"""The one place where tensors of several processes come together, with gradients.

Each rank returns its share of the loss such that the mean of the shares over the ranks is the loss
of one process on the joined batch; then the mean of the gradients over the ranks, which is what
DistributedDataParallel computes, is the gradient of that loss. Ranks may hold different numbers of
rows. In a single process nothing is copied or communicated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that share the batch; 1 where there is no process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rows_per_rank(rows: int, device: torch.device) -> list[int]:
    """How many rows each rank holds; every rank must call this."""
    own = torch.tensor([rows], device=device)
    everyone = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(everyone, own)
    return torch.cat(everyone).tolist()


def own_rows(sizes: Sequence[int]) -> slice:
    """Where this rank's rows stand among the joined ones."""
    start = sum(sizes[: dist.get_rank()])
    return slice(start, start + sizes[dist.get_rank()])


def gather(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Rows of all ranks in the order of the ranks: (n, ...) -> (sum(sizes), ...).

    The gradient of a rank's rows is the sum of the gradients that all ranks have for them.
    """
    return _Gather.apply(x, tuple(sizes))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
        ctx.rows = own_rows(sizes)
        padded = x.new_zeros(max(sizes), *x.shape[1:])
        padded[: len(x)] = x
        everyone = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(everyone, padded)
        return torch.cat([part[:size] for part, size in zip(everyone, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.rows], None
