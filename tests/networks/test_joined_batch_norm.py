"""Batch norm over the samples of several processes is that of one process on all of them."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.networks.joined_batch_norm import join_batch_norms

SHARES = [(3, 5), (1, 4, 2)]
"""Samples of each process."""
NORMS = {
    "features": lambda: nn.BatchNorm1d(4),
    "maps": lambda: nn.BatchNorm2d(4),
    "mean over all steps": lambda: nn.BatchNorm1d(4, momentum=None),
    "neither learned nor remembered": lambda: nn.BatchNorm2d(
        4, affine=False, track_running_stats=False
    ),
}


class Model(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 4), norm, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if isinstance(self.norm, nn.BatchNorm2d):
            x = torch.stack([x, x.square()], dim=2)[..., None].expand(-1, -1, -1, 3)
            return self.last(self.norm(x).mean((2, 3)).tanh()).square()
        return self.last(self.norm(x).tanh()).square()


def two_steps(norm: str, shares: tuple[int, ...], rank: int | None) -> dict[str, Any]:
    """Loss, gradients and statistics after a second step: of torch's own in one process, where
    there is no rank."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(NORMS[norm]()).double()
    data = 10 + torch.randn(2, sum(shares), 4, generator=torch.Generator().manual_seed(7)).double()
    wrapped: nn.Module = model
    rows, factor = slice(None), 1.0
    if rank is not None:
        join_batch_norms(model)
        wrapped = DistributedDataParallel(model)
        rows = slice(sum(shares[:rank]), sum(shares[: rank + 1]))
        factor = shares[rank] * len(shares) / sum(shares)
    for batch in data[:, rows]:
        model.zero_grad()
        loss = wrapped(batch).mean() * factor
        loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"loss": loss.detach(), "gradients": gradients, "state": model.state_dict()}


def worker(rank: int, folder: str, shares: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(shares)
    )
    results = {norm: two_steps(norm, shares, rank) for norm in NORMS}
    for result in results.values():
        dist.all_reduce(result["loss"])
        result["loss"] /= len(shares)
    alone = nn.BatchNorm1d(4)
    join_batch_norms(alone)
    with pytest.raises(ValueError, match="more than one number per channel"):
        alone(torch.zeros(1 if rank == 0 else 0, 4))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_several_processes_equal_one(shares: tuple[int, ...], tmp_path: Path) -> None:
    together(worker, len(shares), str(tmp_path), shares)
    for norm in NORMS:
        wanted = two_steps(norm, shares, None)
        for rank in range(len(shares)):
            found = torch.load(tmp_path / f"{rank}.pt")[norm]
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


def test_in_one_process_it_is_torchs_own() -> None:
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyBatchNorm1d())
    x = torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    own(x)
    joined = copy.deepcopy(own)
    join_batch_norms(joined)
    assert {type(one).__name__ for one in joined} > {"JoinedBatchNorm1d", "JoinedBatchNorm2d"}
    assert torch.equal(joined(x), own(x))
    torch.testing.assert_close(joined.state_dict(), own.state_dict(), rtol=0, atol=0)
    assert torch.equal(joined.eval()(x), own.eval()(x))
