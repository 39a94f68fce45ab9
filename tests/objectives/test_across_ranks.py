"""Two processes with different data, and different amounts of it, equal one on the joined batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from situations import DIM, SITUATIONS, Situation
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.negatives import Queue
from viewfinder.objectives import Inputs, Objective, Options

SIZES = (3, 5)


def _decorrelation(inputs: Inputs, options: Options) -> dict[str, Tensor]:
    """A loss on statistics of the joined batch, as Barlow Twins and VICReg have them."""
    z = torch.cat(list(inputs.online))
    covariance = (z - z.mean(0)).T @ (z - z.mean(0)) / (len(z) - 1)
    return {"loss": (covariance**2).sum(), "variance": covariance.trace()}


STATISTICS = Situation(
    Objective(
        name="decorrelation",
        summary="",
        formula="",
        paper="",
        options=Options,
        compute=_decorrelation,
        minimum=lambda *_: 0.0,
        scores="views",
        across_ranks="batch",
        target="unused",
        negatives=("none",),
        positives=("instance",),
        views=(2, 2),
    ),
    "instance",
    "none",
)
ALL = [*SITUATIONS, STATISTICS]


class Model(nn.Module):
    """A linear model, and a temperature that is learned where the objective has one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, DIM)
        self.temperature = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        unused = 0 * self.temperature  # DDP wants a gradient for it from every objective
        return self.linear(x) + unused, self.temperature + 0


def step(situation: Situation, model: nn.Module, queue: Queue, rows: slice) -> Tensor:
    """Loss of the samples ``rows`` by a linear model; the queue learns their keys afterwards."""
    samples = sum(SIZES)
    data = torch.randn(4, samples, 4, generator=torch.Generator().manual_seed(7)).double()
    index, cluster = torch.arange(samples)[rows], situation.clusters(samples)
    tags = situation.tags(samples)
    outputs, temperature = model(data[:, rows].flatten(0, 1))
    output = list(outputs.chunk(4))
    online, target = output[: situation.views], output[2 : 2 + situation.views]
    if situation.objective.target != "any":
        target = [t.detach() for t in target]
    loss = situation.loss(
        online,
        target,
        queue.propose(online[0], index),
        index=index,
        cluster=None if cluster is None else cluster[rows],
        tags=None if tags is None else tags[rows],
        temperature=temperature,
    )
    one_cluster_each = cluster is not None and cluster.ndim == 1
    queue.update(target[0].detach(), index, cluster[rows] if one_cluster_each else None)
    return loss


def two_steps(
    situation: Situation, rows: slice, parallel: Callable[[nn.Module], nn.Module]
) -> dict[str, Any]:
    """Loss, gradient and queue after a second step, whose negatives are the keys of the first."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = parallel(Model().double())
    queue = Queue(7, DIM).double()
    queue.update(*_older_keys(rows))
    step(situation, model, queue, rows).backward()
    model.zero_grad()
    loss = step(situation, model, queue, rows)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    return {"loss": loss.detach(), "gradient": gradient, "queue": queue.state_dict()}


def _older_keys(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
    keys = torch.randn(sum(SIZES), DIM, generator=torch.Generator().manual_seed(3)).double()
    index = 100 + torch.arange(sum(SIZES))
    return keys[rows], index[rows], index[rows] % 3


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(SIZES)
    )
    start = sum(SIZES[:rank])
    results = {}
    for situation in ALL:
        result = two_steps(situation, slice(start, start + SIZES[rank]), DistributedDataParallel)
        dist.all_reduce(result["loss"])
        result["loss"] /= len(SIZES)
        results[str(situation)] = result
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(worker, (str(folder),), nprocs=len(SIZES))
    return [torch.load(folder / f"{rank}.pt") for rank in range(len(SIZES))]


@pytest.mark.parametrize("situation", ALL, ids=str)
def test_two_processes_equal_one(situation: Situation, ranks: list[dict[str, Any]]) -> None:
    wanted = two_steps(situation, slice(None), lambda model: model)
    for rank in ranks:
        torch.testing.assert_close(rank[str(situation)], wanted, rtol=1e-10, atol=1e-12)
