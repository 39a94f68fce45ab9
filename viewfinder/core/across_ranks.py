"""The one place where tensors of several processes come together, with gradients.

Each rank returns its share of the loss such that the mean of the shares over the ranks is the loss
of one process on the joined batch; then the mean of the gradients over the ranks, which is what
DistributedDataParallel computes, is the gradient of that loss. Ranks may hold different numbers of
rows. In a single process nothing is copied or communicated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that share the batch; 1 where there is no process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def shares(
    name: str,
    given: Mapping[str, Tensor],
    check: Callable[[], object] = lambda: None,
    *,
    least: int = 1,
) -> list[int]:
    """How many rows each rank holds, once all of them agree that what they were given is right.

    name   of what asks, for the messages
    given  by their names, tensors (n, ...) that the ranks are about to join: n, of the first of
           them, differs from rank to rank; all else must be alike, also which are given
    check  raises where this rank's input is wrong
    least  fewest rows that every rank must hold

    Every rank must call this. What one rank refuses all of them refuse, with its reason, and none
    waits for the others. Raises ValueError where a rank holds too few rows, in a single process as
    in several.
    """
    problem: Exception | None = None
    try:
        check()
    except Exception as error:
        problem = error
        if world_size() == 1:
            raise
    first = next(iter(given.values()), None)
    rows = len(first) if first is not None and first.ndim else 0
    sizes = [rows] if world_size() == 1 else _agreed(name, given, rows, problem)
    if min(sizes) < least:
        raise ValueError(f"{name} needs at least one sample in every process, not {sizes}")
    return sizes


def _agreed(
    name: str, given: Mapping[str, Tensor], rows: int, problem: Exception | None
) -> list[int]:
    """The rows of each rank. Raises on every rank where one has a problem, or another kind of
    tensors."""
    shapes = {key: str(("n", *x.shape[1:])).replace("'", "") for key, x in given.items()}
    kinds = ", ".join(f"{key} {str(x.dtype)[6:]} {shapes[key]}" for key, x in given.items())
    refused = -1 if problem else rows
    device = next((x.device for x in given.values()), None)
    own = torch.tensor([refused, crc32(kinds.encode())], device=device)
    everyone = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(everyone, own)
    sizes, marks = torch.stack(everyone).T.tolist()
    if min(sizes) >= 0 and len(set(marks)) == 1:
        return list(sizes)
    told: list[Any] = [None] * world_size()  # known to every rank, so that all of them ask
    dist.all_gather_object(told, kinds if problem is None else str(problem))
    if problem is not None:
        raise problem
    for rank, (size, message) in enumerate(zip(sizes, told, strict=True)):
        if size < 0:
            raise ValueError(f"{name}, in process {rank}: {message}")
    by_rank = "; ".join(f"process {rank}: {kind}" for rank, kind in enumerate(told))
    raise ValueError(f"{name} needs tensors of one kind in all processes, not {by_rank}")


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
        if torch.is_grad_enabled():  # what is summed over the ranks leaves no graph behind
            raise RuntimeError("losses have no second derivative across processes: no create_graph")
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.rows], None
