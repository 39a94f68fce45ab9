"""Processes with different data, and different amounts of it, equal one on the joined batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from situation import DIM, SITUATIONS, STAGE_DIM, Situation, random_pass
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.regularizers import EncoderPass, Regularizer, RegularizerOptions, Term
from viewfinder.regularizers.regularization import weighted

SHARES = [(3, 5), (1, 4, 2)]
"""Samples of each process."""


class Spread(Term):
    def forward(self, seen: EncoderPass) -> Tensor:
        return torch.stack([x.var(dim=0).sum().sqrt() for x in seen.features])


BATCH = Situation(
    Regularizer(
        name="spread",
        summary="a statistic of the joined batch",
        formula="",
        options=RegularizerOptions,
        build=lambda options, spec: Spread(),
        needs=("features",),
        across_ranks="batch",
        sign=-1,
    )
)
ALL = [*SITUATIONS, BATCH]


class Model(nn.Module):
    """An encoder with an inner stage, and a regularizer, in one module as DDP wants it."""

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        # in training: a decoder's batch norm sees the batch, and remembers it
        self.situation, self.term = situation, situation.term().train()
        self.inner, self.outer = nn.Linear(4, STAGE_DIM), nn.Linear(STAGE_DIM, DIM)

    def forward(self, rows: slice, samples: int) -> Tensor:
        """Views and noise are those of ``rows`` of a batch of so many samples."""
        batch = random_pass(self.situation, samples).each(lambda own: [x[rows] for x in own])
        stages = [self.inner(view.flatten(1)[:, :4]) for view in batch.views]
        features = [self.outer(x) for x in stages]
        noise, inner_noise = batch.noisy, batch.noisy_stages["inner"]
        seen = replace(
            batch,
            features=features,
            noisy=[x + 0.1 * e.detach() for x, e in zip(features, noise, strict=True)],
            stages={"inner": stages},
            noisy_stages={
                "inner": [x + e.detach() for x, e in zip(stages, inner_noise, strict=True)]
            },
        )
        value = self.situation.row(self.term, seen)
        unused = 0 * sum(x.sum() for x in features)  # where stages alone are read
        return weighted(value, [1.0, 0.5, 1.0] if value.ndim else [2.0]) + unused


def step(
    situation: Situation,
    rows: slice,
    samples: int,
    parallel: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(situation).double()
    wrapped = parallel(model)
    loss = wrapped(rows, samples)
    loss.backward()
    gradient = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {"loss": loss.detach(), "gradient": gradient, "state": model.state_dict()}


def refused(situation: Situation, rank: int, rows: slice, samples: int) -> None:
    """What the first process refuses all of them refuse, and none waits for the others."""
    empty = slice(0, 0) if rank == 0 else rows
    with pytest.raises(ValueError, match="at least one sample in every process, not \\[0, "):
        step(situation, empty, samples)
    seen = random_pass(situation, samples).each(lambda own: [x[rows] for x in own])
    features = [seen.features[0][:0], *seen.features[1:]] if rank == 0 else seen.features
    with pytest.raises(ValueError, match=rf"{situation.row.name}.* views of \d samples"):
        situation.row(situation.term(), replace(seen, features=features))
    if situation.row.needs == ("features",):
        wider = [x.repeat(1, 1 + (rank == 0)) for x in seen.features]
        with pytest.raises(ValueError, match=r"process 0: tensor 0 float64 \(n, 12\)"):
            situation.row(situation.term(), replace(seen, features=wider))


def worker(rank: int, folder: str, shares: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(shares)
    )
    start = sum(shares[:rank])
    results: dict[str, Any] = {}
    for situation in ALL:
        rows = slice(start, start + shares[rank])
        result = step(situation, rows, sum(shares), DistributedDataParallel)
        dist.all_reduce(result["loss"])
        result["loss"] /= len(shares)
        results[str(situation)] = result
        refused(situation, rank, rows, sum(shares))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.fixture(scope="module", params=SHARES, ids=str)
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, list[dict[str, Any]]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    shares = request.param
    together(worker, len(shares), str(folder), shares)
    return sum(shares), [torch.load(folder / f"{rank}.pt") for rank in range(len(shares))]


@pytest.mark.parametrize("situation", ALL, ids=str)
def test_several_processes_equal_one(situation: Situation, ranks: Any) -> None:
    samples, results = ranks
    wanted = step(situation, slice(None), samples)
    for found in results:
        torch.testing.assert_close(found[str(situation)], wanted, rtol=1e-10, atol=1e-12)
