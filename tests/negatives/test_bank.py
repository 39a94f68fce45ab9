"""The memory bank: what a row holds, which rows are proposed, and the search for the nearest."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.negatives import Bank, neighbours
from viewfinder.negatives.neighbours import nearest_rows
from viewfinder.objectives import InfoNCE, info_nce_with_negatives


def draw(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def test_rows_start_as_in_released_code() -> None:
    """Uniform between -1 and 1 over the root of a third of the dimensions; by the seed alone."""
    bank, bound = Bank(500, 128, seed=3), math.sqrt(3 / 128)
    assert bank.table.abs().max() <= bound
    assert bank.table.abs().max() > 0.99 * bound
    assert bank.table.norm(dim=1).mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(bank.table, Bank(500, 128, seed=3).table)
    assert not torch.equal(bank.table, Bank(500, 128, seed=4).table)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_views_of_a_datum_fade_by_powers_of_alpha(alpha: float) -> None:
    """Equation 7 over several epochs, without the division by the length."""
    bank = Bank(6, 3, alpha=alpha, renormalise=False).double()
    start, seen = bank.table[2].clone(), [unit(draw(s, 1, 3)) for s in range(4)]
    for key in seen:
        bank.update(5 * key, torch.tensor([2]))
    weights = [(1 - alpha) * alpha**age for age in (3, 2, 1, 0)]
    wanted = alpha**4 * start + sum(w * key[0] for w, key in zip(weights, seen, strict=True))
    torch.testing.assert_close(bank.table[2], wanted)


def test_of_a_datum_that_is_there_twice_the_last_counts() -> None:
    bank = Bank(6, 3, alpha=0).double()
    keys = draw(0, 4, 3)
    others = bank.table[[0, 2, 4]].clone()
    bank.update(keys, torch.tensor([3, 1, 3, 5]))
    torch.testing.assert_close(bank.table[[3, 1, 5]], unit(keys[[2, 1, 3]]))
    assert torch.equal(bank.table[[0, 2, 4]], others)


def test_draws_are_uniform_over_the_others() -> None:
    bank = Bank(11, 2, size=4000)
    index = torch.tensor([0, 4, 10])
    rows = bank.propose(torch.zeros(3, 2), index).rows
    assert rows is not None
    for own, drawn in zip(index.tolist(), rows, strict=True):
        counts = drawn.bincount(minlength=11).double()
        assert counts[own] == 0
        others = torch.cat([counts[:own], counts[own + 1 :]])
        assert ((others - 400) ** 2 / 400).sum() < 40  # chi squared, 9 degrees of freedom
    kept = Bank(11, 2, size=4000, own="kept").propose(torch.zeros(1, 2), index[:1]).rows
    assert kept is not None
    assert kept[0].bincount(minlength=11)[0] > 250
    shared = Bank(11, 2, size=6, draws="shared").propose(torch.zeros(3, 2), index).rows
    assert shared is not None
    assert shared.shape == (6,)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 30),
    queries=st.integers(1, 6),
    k=st.integers(1, 29),
    block=st.integers(1, 80),
    exclude=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_nearest_rows_are_those_of_the_full_matrix(
    n: int, queries: int, k: int, block: int, exclude: bool, seed: int
) -> None:
    query, table = draw(seed, queries, 3), draw(seed + 1, n, 3)
    table[0] = 0  # without direction: cosine 0
    own = torch.arange(queries) % n if exclude else None
    k = min(k, n - exclude)
    cosine = torch.nn.functional.cosine_similarity(query[:, None], table[None], dim=2)
    if own is not None:
        cosine[torch.arange(queries), own] = -2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", block)
        rows = nearest_rows(query, table, k, own=own)
    assert torch.equal(rows.sort(dim=1).values, cosine.topk(k, dim=1).indices.sort(dim=1).values)
    with pytest.raises(ValueError, match="to choose from"):
        nearest_rows(query, table, n + 1 - exclude, own=own)


def test_neighbours_of_the_output_and_of_the_memory() -> None:
    query, index = draw(0, 3, 4), torch.tensor([5, 1, 7])
    bank = Bank(20, 4, nearest=3).double()
    by_output = bank.propose(query, index).rows
    bank.by = "memory"
    by_memory = bank.propose(query, index).rows
    assert by_output is not None
    assert by_memory is not None
    for rows, of in ((by_output, query), (by_memory, bank.table[index])):
        wanted = nearest_rows(of, bank.table, 3, own=index)
        assert torch.equal(rows, wanted)
    bank.size = 50  # draws among them
    drawn = bank.propose(query, index).rows
    assert drawn is not None
    assert drawn.shape == (3, 50)
    for few, near in zip(drawn, by_memory, strict=True):
        assert set(few.tolist()) == set(near.tolist())


def test_the_nearest_n_minus_1_are_the_whole_bank() -> None:
    """BALL of all others is instance discrimination."""
    query, index = draw(0, 5, 4), torch.tensor([5, 1, 7, 0, 9])
    bank = Bank(10, 4).double()
    whole = info_nce_with_negatives(query, None, bank.propose(query, index), 0.2)
    logits = unit(query) @ unit(bank.table).T / 0.2
    torch.testing.assert_close(whole, torch.nn.functional.cross_entropy(logits, index))
    bank.nearest = 9
    ball = info_nce_with_negatives(query, None, bank.propose(query, index), 0.2)
    torch.testing.assert_close(ball, whole)


def test_a_bank_may_be_renewed_before_the_backward_pass() -> None:
    index = torch.arange(4)
    gradients = []
    for early in (False, True):
        for size in (3, None):
            bank, query = Bank(9, 4, size=size).double(), draw(0, 4, 4).requires_grad_()
            loss = InfoNCE(0.1)(query, negatives=bank.propose(query, index))
            if early:
                bank.update(query, index)
            gradients.append(torch.autograd.grad(loss, query)[0])
    assert torch.equal(gradients[0], gradients[2])
    assert torch.equal(gradients[1], gradients[3])


def test_filled_by_vectors_of_all_data() -> None:
    bank, vectors = Bank(6, 3).double(), draw(0, 6, 3)
    bank.fill(vectors)
    torch.testing.assert_close(bank.table, unit(vectors))
    with pytest.raises(ValueError, match="cannot hold"):
        bank.fill(vectors[:5])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 1}, "n is 1; .*at least 2"),
        ({"size": 0}, "size is 0; .*at least 1"),
        ({"alpha": 1.1}, "between 0 and 1"),
        ({"nearest": 10}, "nearest is 10; .* from 1 to 9"),
        ({"nearest": 3, "draws": "shared"}, "each query's own"),
    ],
)
def test_what_makes_no_bank_is_refused(options: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Bank(**{"n": 10, "dim": 3, **options})
