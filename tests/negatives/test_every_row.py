"""The rules that every row of the table of negatives keeps: a row joins by being registered."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from processes import together
from pydantic import ValidationError
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives import NEGATIVES, Bank, Contrast, Negatives, NegativesRow
from viewfinder.objectives import info_nce_with_negatives

N, DIM = 23, 4
SPEC = Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM, seed=5)
# options that make a row small enough for the data of these tests, and each of its choices in turn
SMALL: dict[str, list[dict[str, Any]]] = {
    "queue": [{"size": 7}, {"size": 30}],
    "bank": [
        {"size": 5},
        {"size": None},
        {"size": 40, "draws": "shared"},
        {"size": None, "nearest": 6},
        {"size": 5, "nearest": 6, "by": "memory"},
        {"size": 5, "alpha": 0.0, "renormalise": False},
    ],
    "ball": [{"size": 6}, {"size": N - 1, "draws": 5}, {"size": 6, "by": "current"}],
    "annulus": [
        {"size": 9},
        {"size": 9, "inner": 3, "draws": 4},
        {"size": 9, "upper": 0.3, "clusters": False},
        {"size": 3, "upper": -1.0, "draws": 3},  # nothing is left
    ],
    "threshold": [
        {"draws": 5},
        {"draws": 5, "lower": 0.0},
        {"draws": 5, "upper": 0.2, "by": "current"},
        {"draws": 5, "lower": 0.999},  # none is accepted
    ],
    "tempered": [{"draws": 5}, {"draws": 5, "temperature": 0}, {"draws": 5, "temperature": 1e6}],
    "uniform": [{"draws": 5}],
    "learned": [{"draws": 5}, {"draws": 5, "rate": 0.5, "knots": 3, "by": "current"}],
}
KEPT = [
    (name, {"own": "kept", **options})
    for name, choices in SMALL.items()
    for options in choices[: 4 if name == "bank" else 1]
    if "own" in NEGATIVES[name].options.model_fields
]


@dataclass(frozen=True)
class Choice:
    row: NegativesRow
    options: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()  # of several clusterings

    def __str__(self) -> str:
        several = ["clusterings"] if self.sizes else []
        return "-".join([self.row.name, *(f"{k}={v}" for k, v in self.options.items()), *several])

    def build(self, dtype: torch.dtype = torch.float64) -> Negatives:
        spec = replace(SPEC, sizes=self.sizes)
        return self.row.build(self.row.options(**self.options), spec).to(dtype)


# a vocabulary has entries of words, none of data: see test_vocabulary.py
OF_DATA = [row for row in NEGATIVES.values() if not row.of_places]
SAFE = [Choice(row, o) for row in OF_DATA for o in SMALL.get(row.name, [{}])]
ALL = [*SAFE, *(Choice(NEGATIVES[name], o) for name, o in KEPT)]
# the same with Z as two clusterings
SEVERAL = [Choice(row, SMALL[row.name][0], (5, 2)) for row in OF_DATA if row.kind == "table"]
every = pytest.mark.parametrize("choice", ALL, ids=str)
every_z = pytest.mark.parametrize("choice", [*ALL, *SEVERAL], ids=str)
every_table = pytest.mark.parametrize("choice", [c for c in ALL if c.row.kind == "table"], ids=str)


def keys(step: int, rows: slice = slice(None), size: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Keys of a step with their index and clusters, all different from step to step; at times
    there is a datum twice."""
    generator = torch.Generator().manual_seed(step)
    index = torch.randint(0, N, (size,), generator=generator)
    z = (index * 7) % 5
    vectors = torch.randn(size, DIM, generator=generator, dtype=torch.float64)
    return vectors[rows], index[rows], z[rows]


def in_form(negatives: Negatives, z: Tensor) -> Tensor:
    """Clusters (N,), or two clusterings (N, 2) where those are kept."""
    held = dict(negatives.named_buffers()).get("cluster")
    return z if held is None or held.ndim == 1 else torch.stack([z, z % 2], dim=1)


def taught(negatives: Negatives, steps: range, rows: slice = slice(None), size: int = 8) -> None:
    for step in steps:
        vectors, index, z = keys(step, rows, size)
        z = in_form(negatives, z)
        negatives.propose(vectors, index, z)
        negatives.update(vectors, index, z)


def loss(negatives: Negatives, step: int, rows: slice = slice(None)) -> Tensor | None:
    """InfoNCE of the next step's queries; None where nothing is proposed."""
    vectors, index, z = keys(step, rows)
    z = in_form(negatives, z)
    contrast = negatives.propose(vectors, index, z)
    if contrast is None:
        return None
    query = vectors.requires_grad_()
    contrast = replace(contrast, proposal=None)  # what it is contrasted with, not how it was drawn
    total = info_nce_with_negatives(query, vectors.detach().roll(1, 1), contrast, 0.3, cluster=z)
    (gradient,) = torch.autograd.grad(total, query)
    return torch.cat([total.detach()[None], gradient.flatten()])


def test_there_is_a_small_choice_for_every_row_with_options() -> None:
    assert set(SMALL) == {row.name for row in NEGATIVES.values() if row.options.model_fields}


@every_table
@pytest.mark.parametrize("position", [-1, -2, -3])
def test_a_key_is_kept_or_refused_but_never_lost(choice: Choice, position: int) -> None:
    """-2 says that nobody knows whose a key is; a memory of one row per datum has no place then."""
    negatives = choice.build()
    vectors, index, z = keys(0)
    index = torch.arange(len(vectors)).index_fill(0, torch.tensor([3]), position)
    before = {name: x.clone() for name, x in negatives.state_dict().items()}
    if position == -2 and not choice.row.stable_index:
        negatives.update(vectors, index, z)
        kept = negatives.state_dict()["table"]
        last = vectors[-len(kept) :]
        assert all((kept == vector).all(dim=1).any() for vector in last)
        return
    with pytest.raises(ValueError, match=r"index (has|must be).* positions"):
        negatives.update(vectors, index, z)
    torch.testing.assert_close(negatives.state_dict(), before, rtol=0, atol=0)


@every
def test_it_is_what_it_declares(choice: Choice) -> None:
    row, negatives = choice.row, choice.build()
    assert isinstance(negatives, Negatives)
    assert row.kind in ("none", "batch", "table")
    taught(negatives, range(2))
    contrast = negatives.propose(*keys(2))
    assert (contrast is not None) == (row.kind == "table")
    if contrast is None:
        assert not list(negatives.buffers())
        return
    assert (contrast.positive is not None) == row.gives_positive
    assert contrast.table.shape[1] == DIM
    assert bool(list(negatives.parameters())) == row.learns == (contrast.proposal is not None)
    if contrast.rows is not None:
        assert contrast.rows.dtype == torch.int64
        assert int(contrast.rows.max()) < len(contrast.table)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_precision_in_is_precision_out(choice: Choice, dtype: torch.dtype) -> None:
    negatives = choice.build(dtype)
    for step in range(2):
        vectors, index, z = keys(step)
        negatives.update(vectors.to(dtype), index, z)
    contrast = negatives.propose(vectors.to(dtype), index, z)
    if contrast is not None:
        assert contrast.table.dtype == dtype
        assert contrast.positive is None or contrast.positive.dtype == dtype
    under = choice.build(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # keys come in half precision
        under.propose(vectors.bfloat16(), index, z)
        under.update(vectors.bfloat16(), index, z)
    assert all(x.dtype == dtype for x in under.buffers() if x.is_floating_point())


@every_z
def test_a_resumed_run_repeats_the_uninterrupted_one(choice: Choice) -> None:
    """All that it needs is in its state: what was kept, and where its draws stand."""
    whole, first, second = choice.build(), choice.build(), choice.build()
    taught(whole, range(6))
    taught(first, range(3))
    second.load_state_dict(first.state_dict())
    taught(second, range(3, 6))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    wanted, again = loss(whole, 6), loss(second, 6)
    assert (wanted is None) == (again is None)
    assert wanted is None or (torch.isfinite(wanted).all() and torch.equal(wanted, again))


@every_table
def test_draws_differ_from_step_to_step_and_not_within(choice: Choice) -> None:
    negatives = choice.build()
    first, again = (negatives.propose(*keys(0)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert (first.rows is None) == (again.rows is None)
    if first.rows is not None:
        assert torch.equal(first.rows, again.rows)
    counts = [choice.options.get("draws"), choice.row.name == "bank" and choice.options.get("size")]
    chance = any(isinstance(x, int) and x for x in counts)
    if not chance or choice.options.get("temperature") == 0:
        return
    assert first.rows is not None
    negatives.update(*keys(0))
    later = negatives.propose(*keys(0))
    assert later is not None
    assert later.rows is not None
    assert not torch.equal(first.rows, later.rows)


@pytest.mark.parametrize("choice", SAFE, ids=str)
@pytest.mark.parametrize("size", [2, 8, 60])
def test_no_positive_is_its_own_negative(choice: Choice, size: int) -> None:
    """The key of every query is in the table already; it, and not a copy, must be left out."""
    negatives = choice.build()
    taught(negatives, range(4), size=size)
    vectors, index, z = keys(3, size=size)
    contrast = negatives.propose(vectors, index, z)
    if contrast is None:
        return
    assert contrast.index is not None
    rows = torch.arange(len(contrast.table)) if contrast.rows is None else contrast.rows
    same = contrast.index[rows.clamp(min=0)].expand(size, -1) == index[:, None]
    same &= rows.expand(size, -1) >= 0
    if contrast.own is None:  # then the rows themselves leave it out
        assert not same.any()
    else:
        assert torch.equal(contrast.own, index)
    # a table with nothing but the positive: there is nothing to be told from
    alone = torch.where(same, rows.expand(size, -1), -1)
    told = Contrast(contrast.table, alone, index=contrast.index, own=contrast.own)
    value = info_nce_with_negatives(vectors, vectors.roll(1, 1), told, 0.1)
    assert value.item() == pytest.approx(0, abs=1e-12)


@every_z
def test_clusters_are_renewed_by_index(choice: Choice) -> None:
    negatives = choice.build()
    taught(negatives, range(4))
    z = in_form(negatives, torch.randperm(N, generator=torch.Generator().manual_seed(0)) % 3)
    negatives.relabel(z)
    vectors, index, _ = keys(4)
    contrast = negatives.propose(vectors, index)
    if contrast is None:
        return
    assert contrast.index is not None
    assert contrast.cluster is not None
    known = contrast.index >= 0
    if choice.row.name == "annulus":  # what is close was left out: no row is a positive
        assert (contrast.cluster == -1).all()
        assert torch.equal(negatives.get_buffer("cluster"), z)
    else:
        assert torch.equal(contrast.cluster[known], z[contrast.index[known]])
    assert (contrast.cluster[~known] == -1).all()
    with pytest.raises(ValueError, match="clusters of each of the data"):
        negatives.relabel(z[:3])


@every
@pytest.mark.parametrize("size", [1, 2, 60])
def test_batches_of_any_size(choice: Choice, size: int) -> None:
    """Larger than the table, and not a divisor of it."""
    negatives = choice.build()
    taught(negatives, range(3), size=size)
    contrast = negatives.propose(*keys(3, size=size))
    if contrast is not None and contrast.rows is not None and contrast.rows.ndim == 2:
        assert len(contrast.rows) == size
    assert all(torch.isfinite(x).all() for x in negatives.buffers())


@every_table
def test_wrong_input_is_named(choice: Choice) -> None:
    negatives = choice.build()
    vectors, index, z = keys(0)
    before = {name: x.clone() for name, x in negatives.state_dict().items()}
    with pytest.raises(ValueError, match=rf"keys must be \(N, {DIM}\)"):
        negatives.update(vectors[:, :2], index)
    with pytest.raises(ValueError, match="one index each"):
        negatives.update(vectors, index[:3])
    with pytest.raises(ValueError, match="one cluster"):
        negatives.update(vectors, index, z[:3])
    if choice.row.stable_index:
        for wrong in (N, -1):
            with pytest.raises(ValueError, match=f"positions from 0 to {N - 1}"):
                negatives.update(vectors, torch.full_like(index, wrong))
    for name, x in negatives.state_dict().items():
        assert torch.equal(x, before[name]), "a refused update must change nothing"
    if choice.row.name == "bank":
        for word in ("draws", "by", "own"):
            with pytest.raises(ValueError, match=f"{word} is 'kyes'"):
                Bank(N, DIM, **{word: "kyes"})
        with pytest.raises(ValidationError, match=r"size=40.*6\.67 times.*size=None"):
            choice.row.options(size=40, nearest=6)
        with pytest.raises(UserError, match="size=None"):
            Bank(N, DIM, size=40, nearest=6)
    with pytest.raises(ValidationError, match="Extra inputs"):
        choice.row.options(sise=3)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        choice.row.options(**{str(choice.row.bare): 0})


SIZES = {2: (3, 5), 3: (1, 5, 2)}


def worker(rank: int, folder: str, sizes: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(sizes)
    )
    ends = list(accumulate(sizes))
    rows = slice(ends[rank] - sizes[rank], ends[rank])
    results = {}
    for choice in (*ALL, *SEVERAL):
        if choice.row.kind == "table":
            vectors, index, z = keys(0, rows)
            wrong = index.float() if rank == 0 else index
            with pytest.raises(ValueError, match="index must be whole numbers"):
                choice.build().update(vectors, wrong, in_form(choice.build(), z))
        negatives = choice.build()
        taught(negatives, range(4), rows)
        results[str(choice)] = (negatives.state_dict(), loss(negatives, 4, rows))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.barrier()
    # All is written; leaving at once spares the tear-down of the communication's threads, which
    # now and then aborts the process.
    os._exit(0)


@pytest.fixture(scope="module", params=list(SIZES), ids=lambda n: f"{n} ranks")
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    sizes = SIZES[request.param]
    together(worker, len(sizes), str(folder), sizes)
    return [torch.load(folder / f"{rank}.pt") for rank in range(len(sizes))]


@every_z
def test_several_processes_equal_one(choice: Choice, ranks: list[dict[str, Any]]) -> None:
    """State after updates with different data, and different amounts of it; and the losses."""
    one = choice.build()
    taught(one, range(4))
    wanted = loss(one, 4)
    for rank in ranks:
        torch.testing.assert_close(rank[str(choice)][0], dict(one.state_dict()), rtol=0, atol=0)
    if wanted is None:
        return
    sizes = SIZES[len(ranks)]
    parts = [rank[str(choice)][1] for rank in ranks]
    value = sum(part[0] * size for part, size in zip(parts, sizes, strict=True)) / sum(sizes)
    torch.testing.assert_close(value, wanted[0])
    gradients = [part[1:] * size / 8 for part, size in zip(parts, sizes, strict=True)]
    torch.testing.assert_close(torch.cat(gradients), wanted[1:])


@every
def test_a_step_that_overflowed_does_not_stay(choice: Choice) -> None:
    """Keys that are not finite are remembered by nobody; the others of their batch are."""
    negatives = choice.build()
    taught(negatives, range(2))
    vectors, index, z = keys(2)
    index = (torch.arange(len(index)) + 3) % N  # each datum once
    vectors[1, 0], vectors[4] = float("inf"), float("nan")
    negatives.update(vectors, index, z)
    assert all(torch.isfinite(x).all() for x in negatives.buffers())
    contrast = negatives.propose(vectors.nan_to_num(posinf=1.0), index, z)
    if contrast is None:
        return
    assert contrast.index is not None
    if not choice.row.stable_index:
        held = contrast.index[contrast.index >= 0].tolist()
        assert not {int(index[1]), int(index[4])} & set(held[-len(index) :])
        assert int(index[0]) in held or len(held) < len(index)
    after = loss(negatives, 3)
    assert after is not None
    assert torch.isfinite(after).all()


@every_table
def test_positions_and_clusters_are_whole_numbers_on_its_device(choice: Choice) -> None:
    negatives = choice.build()
    vectors, index, z = keys(0)
    before = {name: x.clone() for name, x in negatives.state_dict().items()}
    for given, said in (((index.double(), z), "index"), ((index, z.float()), "z")):
        with pytest.raises(ValueError, match=f"^{said} must be whole numbers.*not torch.float"):
            negatives.update(vectors, *given)
    with pytest.raises(ValueError, match="z must be whole numbers"):
        negatives.relabel(torch.rand(N))
    with pytest.raises(ValueError, match="index is on meta"):
        negatives.update(vectors, index.to("meta"), z)
    for name, x in negatives.state_dict().items():
        assert torch.equal(x, before[name]), "a refused update must change nothing"
    negatives.update(vectors, index.int(), z.to(torch.int16))
    exact = choice.build()
    exact.update(vectors, index, z)
    torch.testing.assert_close(negatives.state_dict(), exact.state_dict(), rtol=0, atol=0)
    contrast = negatives.propose(vectors, index, z)
    assert contrast is not None
    with pytest.raises(ValueError, match=r"table of negatives is on cpu, the queries are on meta"):
        contrast.check_queries(vectors.to("meta"))
    with pytest.raises(ValueError, match=r"negatives must be \(K, D\)"):
        contrast.check_queries(vectors[:, :2])
    for name in ("rows", "index", "cluster", "own"):
        wrong = torch.rand(len(contrast.table))
        with pytest.raises(ValueError, match=f"{name} must be whole numbers"):
            Contrast(contrast.table, **{name: wrong})
