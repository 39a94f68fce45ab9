"""Which rows of a memory the proposals choose: sets by definition, draws in distribution."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from golden.cases import Case, golden_cases
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives import NEGATIVES, Bank
from viewfinder.negatives.annulus import annulus
from viewfinder.negatives.ball import ball
from viewfinder.negatives.pool import Pool, by_weight
from viewfinder.negatives.tempered import tempered
from viewfinder.negatives.threshold import threshold
from viewfinder.negatives.uniform import uniform
from viewfinder.objectives import info_nce_with_negatives

N, DIM = 12, 3
INDEX = torch.tensor([5, 0, 11])
MEMORY = [row for row in NEGATIVES.values() if row.stable_index]


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def pool(seed: int = 0, cluster: Tensor | None = None, **more: Any) -> Pool:
    table = draw(seed, N, DIM)
    cluster = torch.full((N,), -1) if cluster is None else cluster
    given: dict[str, Any] = {"at": table[INDEX], "index": INDEX, "cluster": cluster, "seed": 7}
    return Pool(table, **{**given, **more})


def cosines(of: Pool) -> Tensor:
    return torch.nn.functional.cosine_similarity(of.at[:, None], of.table[None], dim=2)


def others(of: Pool) -> Tensor:
    """bool (N queries, M): not the query's own row."""
    return torch.arange(len(of.table)) != of.index[:, None]


def sets(rows: Tensor | None) -> list[set[int]]:
    assert rows is not None
    return [set(row.tolist()) - {-1} for row in rows]


def of(mask: Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in mask]


def spread(rows: Tensor | None, wanted: Tensor) -> None:
    """Draws (N, draws) have the probabilities wanted (N, M), by a chi-squared test."""
    assert rows is not None
    for drawn, q in zip(rows, wanted.expand(len(rows), -1), strict=True):
        counts, expected = drawn.bincount(minlength=len(q)).double(), q * len(drawn)
        assert (counts[q == 0] == 0).all()
        kept = q > 0
        squared = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
        freedom = max(1, int(kept.sum()) - 1)
        assert squared < freedom + 5 * math.sqrt(2 * freedom) + 5


def normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=1, keepdim=True)


def test_the_ball_of_all_others_is_instance_discrimination() -> None:
    query, row = draw(1, 3, DIM), NEGATIVES["ball"]
    bank: Any = row.build(row.options(size=N - 1), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM))
    bank = bank.double()
    value = info_nce_with_negatives(query, None, bank.propose(query, INDEX), 0.2)
    unit = torch.nn.functional.normalize
    logits = unit(query) @ unit(bank.table).T / 0.2
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(logits, INDEX))


@pytest.mark.parametrize("size", [1, 4, N - 1])
def test_the_ball_is_what_lies_above_a_threshold(size: int) -> None:
    """BALL keeps the near rows: f >= t. Example 1 as printed keeps the far ones: f <= t."""
    given = pool()
    near = sets(ball(given, size).rows)
    for i, found in enumerate(near):
        s = cosines(given)[i]
        last = min(s[j].item() for j in found)
        above = of((s[None] >= last - 1e-12) & others(given)[i : i + 1])[0]
        assert found == above
        # all rows at least as near, sampled
        drawn = sets(threshold(given, 400, lower=last - 1e-12).rows)[i]
        assert drawn == above
        far = sets(threshold(given, 400, upper=last - 1e-12).rows)[i]
        assert not far & above or size == N - 1


def test_a_sampled_ball_is_uniform_over_it() -> None:
    given = pool()
    whole = ball(given, 5).rows
    assert whole is not None
    wanted = torch.zeros(3, N, dtype=torch.float64).scatter_(1, whole, 0.2)
    spread(ball(given, 5, 5000).rows, wanted)


def test_the_annulus_is_the_ball_without_what_is_close() -> None:
    cluster = torch.arange(N) % 3
    given = pool(cluster=cluster)
    near = sets(ball(given, 7).rows)
    ranked = cosines(given).masked_fill(~others(given), -2).argsort(dim=1, descending=True)
    inner = sets(annulus(given, 7, inner=2, clusters=False).rows)
    assert inner == [b - set(r[:2].tolist()) for b, r in zip(near, ranked, strict=True)]
    upper = sets(annulus(given, 7, upper=0.5, clusters=False).rows)
    below = of(cosines(given) <= 0.5)
    assert upper == [b & s or b for b, s in zip(near, below, strict=True)]
    close = of(cluster[INDEX][:, None] == cluster)
    assert sets(annulus(given, 7).rows) == [b - c for b, c in zip(near, close, strict=True)]
    every = sets(annulus(given, 7, inner=2, upper=0.9).rows)
    shared = [
        i & s & (b - c)
        for i, s, b, c in zip(inner, of(cosines(given) <= 0.9), near, close, strict=True)
    ]
    assert every == [left or b for left, b in zip(shared, near, strict=True)]
    drawn = annulus(given, 7, 5000, inner=2, clusters=False).rows
    ring = torch.zeros(3, N, dtype=torch.float64)
    for i, row in enumerate(inner):
        ring[i, list(row)] = 1 / len(row)
    spread(drawn, ring)


def test_close_is_what_is_in_one_cluster_in_any_clustering() -> None:
    z = torch.stack([torch.arange(N) % 4, torch.arange(N) // 5], dim=1)
    given = pool(cluster=z)
    close = of((z[INDEX][:, None] == z).any(dim=2))
    near = sets(ball(given, 9).rows)
    assert sets(annulus(given, 9).rows) == [b - c for b, c in zip(near, close, strict=True)]
    unknown = pool(cluster=torch.full((N, 2), -1))
    assert sets(annulus(unknown, 9).rows) == near


def test_in_the_place_of_an_empty_annulus_stands_the_ball() -> None:
    """And it is told for how many of the queries."""
    row = NEGATIVES["annulus"]
    bank: Any = row.build(row.options(size=4), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM))
    bank = bank.double()
    query = draw(2, 3, DIM)
    whole = sets(ball(Pool(bank.table, bank.table[INDEX], INDEX, bank.cluster, 0), 4).rows)
    z = torch.arange(N)
    z[[*whole[0], 5]] = 5  # the whole ball of the first query
    bank.relabel(z)
    found = sets(bank.propose(query, INDEX).rows)
    assert found[0] == whole[0]
    empty = [not b - of((z == z[i])[None])[0] for b, i in zip(whole, INDEX.tolist(), strict=True)]
    assert bank.said["empty_sets"].item() == pytest.approx(sum(empty) / 3)
    assert empty[0]


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: row.name)
def test_data_without_positions_are_refused(row: Any) -> None:
    """A memory of one row per datum has no place for them, whatever it proposes."""
    options = {"size": 3} if "size" in row.options.model_fields else {}
    bank: Any = row.build(row.options(**options), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM))
    before = bank.table.clone()
    for call in (bank.propose, bank.update):
        with pytest.raises(UserError, match=r"one row for each datum.*position"):
            call(torch.randn(3, DIM), None)
        with pytest.raises(ValueError, match="index must be a tensor"):
            call(torch.randn(3, DIM), INDEX.tolist())
    assert torch.equal(bank.table, before)


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: row.name)
@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_a_share_of_the_old_is_between_0_and_1(row: Any, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        row.options(alpha=alpha)


def test_whatever_tells_of_empty_sets_says_what_is_used_instead() -> None:
    """A run prints it beside the share of its anchors."""
    for row in MEMORY:
        empty = {"annulus": {"size": 3, "upper": -1.0}, "threshold": {"lower": 1.0}}
        if row.name not in empty:
            assert not row.notes
            continue
        bank: Any = row.build(
            row.options(**empty[row.name]), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM)
        )
        bank.propose(torch.randn(3, DIM), INDEX)
        assert set(row.notes) == set(bank.said) and bank.said["empty_sets"] == 1
        assert "instead" in row.notes["empty_sets"]


def test_what_is_accepted_is_uniform_between_both_bounds() -> None:
    given = pool(3)
    s = cosines(given)
    inside = (s >= -0.4) & (s <= 0.7) & others(given)
    assert inside.any(dim=1).all()
    rows, empty, _ = threshold(given, 5000, lower=-0.4, upper=0.7)
    assert empty is not None
    assert not empty.any()
    spread(rows, normalised(inside.double()))
    rows, empty, _ = threshold(given, 5000, lower=0.9999999)
    assert empty is not None
    assert empty.all()
    spread(rows, normalised(others(given).double()))


@pytest.mark.parametrize("without_own", [True, False])
@pytest.mark.parametrize("temperature", [math.inf, 1e6, 1.0, 0.2])
def test_tempered_draws_have_the_probabilities_of_a_softmax(
    temperature: float, without_own: bool
) -> None:
    """At temperature infinity they are uniform."""
    given = pool(without_own=without_own)
    logits = cosines(given) / temperature
    if without_own:
        logits = logits.masked_fill(~others(given), float("-inf"))
    spread(tempered(given, 5000, temperature).rows, logits.softmax(dim=1))
    if temperature == math.inf:
        assert logits[0].softmax(dim=0).unique().numel() <= 2


@pytest.mark.parametrize("temperature", [0.0, 1e-5])
def test_at_temperature_zero_each_draw_is_the_nearest_row(temperature: float) -> None:
    given = pool()
    assert sets(tempered(given, 9, temperature).rows) == sets(ball(given, 1).rows)


def test_every_cluster_is_as_likely_as_any_other() -> None:
    """Uniform over the support, however often a value occurs; of unknown ones each is its own."""
    cluster = torch.tensor([0] * 6 + [1] * 3 + [7] + [-1] * 2)
    weights = torch.tensor([1 / 6] * 6 + [1 / 3] * 3 + [1.0] * 3).double()
    kept = pool(cluster=cluster, without_own=False)
    spread(uniform(kept, 5000).rows, normalised(weights.expand(3, -1)))
    given = pool(cluster=cluster)
    spread(uniform(given, 5000).rows, normalised(weights * others(given)))
    spread(uniform(pool(), 5000).rows, normalised(others(pool()).double()))


def test_neighbours_are_of_the_memory_or_of_the_output() -> None:
    query = draw(4, 3, DIM)
    for row in MEMORY:
        if row.name in ("bank", "uniform"):
            continue
        options = {"size": 3} if "size" in row.options.model_fields else {"draws": 3}
        options |= {"temperature": 0} if row.name == "tempered" else {}
        options |= {"lower": 0.0} if row.name == "threshold" else {}
        found = {}
        for by in ("memory", "current"):
            spec = Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM)
            bank: Any = row.build(row.options(by=by, **options), spec).double()
            if row.learns:  # it draws alike from all rows at the start
                with torch.no_grad():
                    bank.choose.g.copy_(torch.linspace(-2, 2, 17))
            first = bank.propose(query, INDEX).rows
            found[by] = bank.propose(bank.table[INDEX], INDEX).rows
            assert torch.equal(first, found[by]) == (by == "memory"), row.name
        assert torch.equal(found["memory"], found["current"]), row.name


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: row.name)
def test_rows_point_into_the_memory(row: Any) -> None:
    options = {"size": 3} if "size" in row.options.model_fields else {}
    bank: Any = row.build(row.options(**options), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM))
    contrast = bank.propose(torch.randn(3, DIM), INDEX)
    assert contrast.table.data_ptr() == bank.table.data_ptr()
    assert contrast.rows is None or not contrast.rows.is_floating_point()


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: row.name)
def test_without_a_share_of_the_old_a_row_is_the_last_view(row: Any) -> None:
    options = {"size": 3} if "size" in row.options.model_fields else {}
    bank: Any = row.build(
        row.options(alpha=0, **options), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM)
    ).double()
    for seed in range(3):
        keys = draw(seed, 3, DIM)
        bank.update(keys, INDEX)
    torch.testing.assert_close(bank.table[INDEX], torch.nn.functional.normalize(keys, dim=1))


@pytest.mark.parametrize("row", MEMORY, ids=lambda row: row.name)
def test_the_memory_is_filled_with_uniform_draws_first(row: Any) -> None:
    """Instance discrimination for so many epochs; what is logged is the same before and after."""
    if "start" not in row.options.model_fields:
        return
    options = {"size": 9} if "size" in row.options.model_fields else {"draws": 2000}
    options |= {"draws": 9} if row.name == "annulus" else {}
    cold, started = (
        row.build(
            row.options(start=start, **options), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM)
        )
        for start in (0, 2)
    )
    found = []
    for epoch in range(3):
        started.begin(epoch)
        started.step.fill_(epoch)
        rows = started.propose(torch.randn(3, DIM), INDEX).rows
        found.append((rows, set(started.said)))
    cold.step.fill_(2)
    assert torch.equal(found[2][0], cold.propose(torch.randn(3, DIM), INDEX).rows)
    assert len({frozenset(said) for _, said in found}) == 1
    if "size" not in options:
        for rows, _ in found[:2]:
            spread(rows, normalised(others(pool()).double()))
    assert (found[0][0] != INDEX[:, None]).all()


def test_positions_by_weight_invert_the_cumulative_sum() -> None:
    weights = torch.tensor([[0.0, 2.0, 0.0, 1.0, 1.0, 0.0]])
    u = torch.tensor([[0.0, 0.49, 0.5, 0.74, 0.76, 1 - 2**-31]], dtype=torch.float64)
    assert by_weight(weights, u).tolist() == [[1, 1, 3, 3, 4, 4]]


@pytest.mark.parametrize(
    "case", golden_cases("vince_family", lambda c: c.params["variant"] != "ir")
)
def test_golden_sets_of_ball_and_annulus(case: Case) -> None:
    """The paper's B_i holds the datum itself, which here is the positive."""
    bank, y, k = case.input("bank"), case.input("y"), case.params["k"]
    given = Pool(bank, bank[y], y, case.input("cluster_labels").T.contiguous(), 0)
    background = [set(b.tolist()) for b in case.array("f64/background")]
    close = of(torch.from_numpy(case.array("f64/close")).bool())
    near = sets(ball(given, k - 1).rows)
    assert near == [b - {i} for b, i in zip(background, y.tolist(), strict=True)]
    assert sets(annulus(given, k - 1).rows) == [
        b - c for b, c in zip(background, close, strict=True)
    ]
    own = Bank(*bank.shape, nearest=k, by="memory", own="kept").double()
    own.table.copy_(bank)
    assert sets(own.propose(case.input("x_unit"), y).rows) == background


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("ball", {"size": 12}, r"negatives.size=12, but a datum has only 11 others"),
        ("annulus", {"size": 50}, r"negatives.size=50.*negatives.size=1"),
        ("ball", {"size": 3, "draws": 6}, r"draws=6 of the size=3.*2 times"),
        ("annulus", {"clusters": False}, r"leaves nothing out.*negatives=ball"),
        ("annulus", {"size": 5, "inner": 5}, r"inner=5 leaves nothing"),
        ("threshold", {"lower": 0.5, "upper": 0.1}, r"lower=0.5 is above upper=0.1"),
        ("threshold", {"lower": -2.0}, r"greater than or equal to -1"),
    ],
)
def test_what_leaves_no_rows_is_refused(name: str, options: dict[str, Any], says: str) -> None:
    row = NEGATIVES[name]
    with pytest.raises((UserError, ValueError), match=says):
        row.build(row.options(**options), Spec(Domain("images", (3, 8, 8)), n=N, dim=DIM))
