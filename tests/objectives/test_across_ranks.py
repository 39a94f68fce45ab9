"""Processes with different data, and different amounts of it, equal one on the joined batch; and
what one of them refuses all of them refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from situations import DIM, SITUATIONS, Situation, random_data
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.negatives import Contrast, Queue
from viewfinder.objectives import Inputs, Objective, Options

SHARES = [(3, 5), (1, 4, 3)]
"""Samples of each process, of a batch of 8."""
SAMPLES = 8


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
PLAIN = [s for s in ALL if not s.chosen and s.pairing == "one-way"]


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
    samples = SAMPLES
    data = torch.randn(4, samples, 4, generator=torch.Generator().manual_seed(7)).double()
    index, cluster = torch.arange(samples)[rows], situation.clusters(samples)
    tags = situation.tags(samples)
    outputs, temperature = model(data[:, rows].flatten(0, 1))
    output = list(outputs.chunk(4))
    online, target = output[: situation.views], output[2 : 2 + situation.views]
    if situation.objective.keys is not None:  # every place another one
        scale = 1 + torch.arange(3).view(1, -1, 1)
        places = situation.keys(torch.zeros(1, DIM)).shape[1]
        target = [situation.keys(t) + scale[:, :places] * t[:, None].flip(2) for t in target]
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
    if situation.objective.keys is None:  # keys of places are no rows of a queue
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
    keys = torch.randn(SAMPLES, DIM, generator=torch.Generator().manual_seed(3)).double()
    index = 100 + torch.arange(SAMPLES)
    return keys[rows], index[rows], index[rows] % 3


def refused(situation: Situation, rank: int, samples: int) -> None:
    """The first process is given what is wrong, the others what is right: all say what it was."""
    data = random_data(situation, samples, seed=rank)

    def loss(*, index: Tensor | None = None, **more: Any) -> None:
        index = torch.arange(samples) if index is None else index
        situation.loss(data.online, data.target, data.table, index=index, **more)

    def said(message: str, **wrong: Any) -> None:
        with pytest.raises(ValueError, match=message):
            loss(**(wrong if rank == 0 else {}))

    if situation.negatives not in ("table", "rows"):  # those refuse them before
        said("index must be whole numbers", index=torch.rand(samples))
        said("index of 5 samples", index=torch.arange(samples + 1))
    if situation.positives in ("clusters", "clusterings"):
        cluster = situation.clusters(samples)
        said("labels must be whole numbers", cluster=cluster.float())
        said("labels of 5 samples", cluster=torch.cat([cluster, cluster[:1]]))
    if situation.objective.outputs == "classes":
        said("labels run from -1 to -1", cluster=torch.full((samples,), -1))
    if situation.positives == "tags":
        tags = situation.tags(samples)
        said("tags must be .* of 0 and 1", tags=0.5 * tags)
        said("tags of 5 samples", tags=torch.cat([tags, tags[:1]]))
    if situation.negatives in ("table", "rows"):
        narrow = Contrast(torch.zeros(4, DIM - 1, dtype=torch.float64))
        pair = data.online[:1], [x.detach() for x in data.target[:1]]
        known = {"cluster": situation.clusters(samples), "state": situation.state(torch.float64)}
        right = situation.contrast(data.table, torch.arange(samples))
        with pytest.raises(ValueError, match="negatives must be"):
            situation.objective(*pair, negatives=right if rank else narrow, **known)
    rows = slice(0, 0) if rank == 0 else slice(None)
    cluster, tags = situation.clusters(samples), situation.tags(samples)
    with pytest.raises(ValueError, match=r"at least one sample in every process, not \[0, "):
        situation.loss(
            [x[rows] for x in data.online],
            [x[rows] for x in data.target],
            data.table,
            index=torch.arange(samples)[rows],
            cluster=None if cluster is None else cluster[rows],
            tags=None if tags is None else tags[rows],
        )
    optional = {"index": torch.arange(samples), "cluster": cluster, "tags": tags}
    if "table" in situation.objective.negatives and "batch" in situation.objective.negatives:
        optional["negatives"] = Contrast(data.table.table)
    count = 1 if situation.objective.scores == "pairs" else 2
    views = [x.detach() for x in data.online[:count]]
    known = {"negatives": situation.contrast(data.table, optional["index"]), **optional}
    known = {key: x for key, x in known.items() if x is not None}
    for key in known:
        given = {n: x for n, x in known.items() if rank or n != key}
        given["state"] = situation.state(torch.float64)
        with pytest.raises(ValueError, match=f"in all processes, not|{situation.objective.name}"):
            situation.objective(views, **given)
    wide, keys = (
        [torch.cat([x] * (1 + (rank == 0)), dim=-1) for x in views]
        for views in (data.online, data.target)
    )
    with pytest.raises(
        ValueError, match=r"process 0: view 0 float64 \(n, 12\)|logits allow|negatives mu"
    ):
        situation.loss(wide, keys, data.table)


def worker(rank: int, folder: str, shares: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(shares)
    )
    start = sum(shares[:rank])
    results = {}
    for situation in ALL:
        if situation in PLAIN:
            refused(situation, rank, 4 + rank)
        result = two_steps(situation, slice(start, start + shares[rank]), DistributedDataParallel)
        dist.all_reduce(result["loss"])
        result["loss"] /= len(shares)
        results[str(situation)] = result
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.fixture(scope="module", params=SHARES, ids=str)
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    shares = request.param
    together(worker, len(shares), str(folder), shares)
    return [torch.load(folder / f"{rank}.pt") for rank in range(len(shares))]


@pytest.mark.parametrize("situation", ALL, ids=str)
def test_several_processes_equal_one(situation: Situation, ranks: list[dict[str, Any]]) -> None:
    wanted = two_steps(situation, slice(None), lambda model: model)
    for rank in ranks:
        torch.testing.assert_close(rank[str(situation)], wanted, rtol=1e-10, atol=1e-12)
