"""Losses with prototypes, a queue or a centre: two processes equal one, as in
test_across_ranks.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.negatives import Contrast
from viewfinder.objectives import (
    CARL,
    DINO,
    NCE,
    BarlowTwins,
    CIInfoNCE,
    SupCon,
    SwAV,
    VICReg,
)

SIZES = (3, 5)
DIM = 4


class Encoder(nn.Module):
    """A linear encoder of three views and the loss on them, in one module as DDP wants it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.encoder = nn.Linear(4, DIM)
        losses = {
            "swav": lambda: SwAV(DIM, 6),
            "swav with a queue": lambda: SwAV(DIM, 6, queue=8),
            "dino": lambda: DINO(DIM),
            "carl": lambda: CARL(DIM, 6, mean_over="both"),
            "barlow_twins": lambda: BarlowTwins(normalize=True),
            "vicreg": lambda: VICReg(variance=1.0),
            "ci_infonce": lambda: CIInfoNCE(0.5),
            "tags": lambda: SupCon(0.5),
            "nce": lambda: NCE(0.5),
        }
        self.loss = losses[kind]()

    def forward(self, views: Tensor) -> Tensor:
        z = list(self.encoder(views))
        if self.kind.startswith("swav"):
            return self.loss(z)
        if self.kind == "dino":
            return self.loss(z, [x.detach() for x in z[:2]])
        if self.kind == "carl":
            return self.loss(z[0], z[1], 2.0)["loss"]
        if self.kind == "nce":
            table = torch.randn(9, DIM, generator=torch.Generator().manual_seed(1)).to(z[0])
            return self.loss(z[0], z[1], Contrast(table))
        if self.kind == "tags":
            return self.loss(z, tags=views[0] > 0)
        return self.loss(z[0], z[1])


KINDS = [
    *("swav", "swav with a queue", "dino", "carl"),
    *("barlow_twins", "vicreg", "ci_infonce", "tags", "nce"),
]


def two_steps(
    kind: str, rows: slice, parallel: Callable[[nn.Module], nn.Module] = lambda model: model
) -> dict[str, Any]:
    """Loss, gradients and state after a second step, which sees what the first left behind."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(kind).double()
    model = parallel(encoder)
    data = torch.randn(2, 3, sum(SIZES), 4, generator=torch.Generator().manual_seed(7)).double()
    for batch in data[:, :, rows]:
        model.zero_grad()
        loss = model(batch)
        loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in encoder.parameters()])
    return {"loss": loss.detach(), "gradient": gradient, "state": encoder.state_dict()}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(SIZES)
    )
    start = sum(SIZES[:rank])
    results = {}
    for kind in KINDS:
        # what the first process refuses all of them refuse, and none waits for the others
        share = torch.randn(3, 4 if rank else 0, 4)
        with pytest.raises(ValueError, match=r"at least one sample|one shape|two samples"):
            Encoder(kind)(share)
        results[kind] = two_steps(kind, slice(start, start + SIZES[rank]), DistributedDataParallel)
        dist.all_reduce(results[kind]["loss"])
        results[kind]["loss"] /= len(SIZES)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    together(worker, len(SIZES), str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(len(SIZES))]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_equal_one(kind: str, ranks: list[dict[str, Any]]) -> None:
    wanted = two_steps(kind, slice(None))
    for rank in ranks:
        torch.testing.assert_close(rank[kind], wanted, rtol=1e-10, atol=1e-12)
