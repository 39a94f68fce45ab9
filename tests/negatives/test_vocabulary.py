"""A vocabulary as negatives: InfoNCE with it is the loss of a masked language model."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives import NEGATIVES
from viewfinder.objectives import OBJECTIVES

SENTENCES = Spec(Domain("tokens", (7,), words=20), dim=5)
ROW = NEGATIVES["vocabulary"]
SHARES = (3, 6)


def made(spread: float = 1.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = ROW.build(ROW.options(), SENTENCES).double()
    with torch.no_grad():
        words.table.mul_(spread / 0.02)
    return words


def queries(n: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    index = torch.randint(0, 20, (n,), generator=generator)
    index[1] = index[0]  # a word that is asked for twice
    return torch.randn(n, 5, generator=generator, dtype=torch.float64), index


def loss(words: nn.Module, query: Tensor, index: Tensor) -> Tensor:
    row = OBJECTIVES["info-nce"]
    options = row.options(similarity="dot", temperature=1.0)
    given = {"index": index, "negatives": words.propose(query, index), "options": options}
    return row([query], [], **given)["loss"]


def test_it_is_the_cross_entropy_of_the_hidden_words() -> None:
    words, (query, index) = made(), queries()
    query.requires_grad_()
    found = loss(words, query, index)
    wanted = F.cross_entropy(query @ words.table.T, index)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    leaves = (query, words.table)
    for a, b in zip(
        torch.autograd.grad(found, leaves), torch.autograd.grad(wanted, leaves), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_log_of_the_vocabulary_less_it_is_the_papers_information() -> None:
    """VINCE, section 5.1: E[ f(v, u) - log (1/|V|) sum_w exp f(v, w) ]."""
    words, (query, index) = made(), queries()
    scores = query @ words.table.T
    paper = (scores[range(len(index)), index] - scores.exp().mean(dim=1).log()).mean()
    torch.testing.assert_close(math.log(20) - loss(words, query, index), paper)


def test_untrained_it_costs_the_log_of_the_vocabulary() -> None:
    words, (query, index) = made(spread=0.02), queries()
    assert loss(words, query, index).item() == pytest.approx(math.log(20), abs=0.02)
    assert loss(words, 0 * query, index).item() == pytest.approx(math.log(20), rel=1e-12)


def test_its_vectors_are_learned_saved_and_draw_from_the_seed_alone() -> None:
    words, other = made(), made(spread=3.0)
    assert torch.equal(words.table, made().table)
    assert [name for name, p in words.named_parameters() if p.requires_grad] == ["table"]
    other.load_state_dict(words.state_dict())
    assert torch.equal(other.table, words.table)
    query, index = queries()
    before = words.table.clone()
    words.update(query, index)
    assert torch.equal(words.table, before)


def test_data_without_words_are_refused() -> None:
    with pytest.raises(UserError, match=r"the data are images.*data=text:FILE"):
        ROW.build(ROW.options(), Spec(Domain("images", (3, 8, 8)), dim=5))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.words = nn.Linear(5, 5).double(), made()
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, query: Tensor, index: Tensor) -> Tensor:
        return loss(self.words, self.linear(query), index)


def step(model: nn.Module, rows: slice) -> dict[str, Any]:
    query, index = queries()
    value = model(query[rows], index[rows])
    value.backward()
    return {"loss": value.detach(), "gradient": [p.grad for p in model.parameters()]}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(SHARES)
    )
    start = sum(SHARES[:rank])
    made = step(DistributedDataParallel(Model()), slice(start, start + SHARES[rank]))
    dist.all_reduce(made["loss"])
    made["loss"] /= len(SHARES)
    torch.save(made, f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)


def test_processes_with_different_numbers_of_hidden_words_equal_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=len(SHARES))
    wanted = step(Model(), slice(None))
    for rank in range(len(SHARES)):
        found = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
