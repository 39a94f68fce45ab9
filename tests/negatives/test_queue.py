"""The queue: where keys land, what is never a negative, what survives a restart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.negatives import Queue
from viewfinder.objectives import InfoNCE, info_nce_with_negatives


@pytest.mark.parametrize("case", golden_cases("queue_update"))
def test_golden_queue_update(case: Case) -> None:
    bank = case.input("bank0")
    queue = Queue(len(bank), bank.shape[1]).double()
    queue.table.copy_(bank)
    for step, batch in enumerate(case.input("batches")):
        queue.update(batch, torch.arange(len(batch)) + 10 * step)
        np.testing.assert_array_equal(queue.table.numpy(), case.array("f64/bank_after")[step])
        assert queue.pointer == case.array("f64/ptr_after")[step]


def filled_by(size: int, batches: list[int]) -> tuple[Queue, list[int]]:
    """A queue after batches of these sizes, and the indices of all keys in their order."""
    queue, seen = Queue(size, 2), 0
    for batch in batches:
        index = torch.arange(seen, seen + batch)
        queue.update(index[:, None].repeat(1, 2).float(), index, index % 3)
        seen += batch
    return queue, list(range(seen))


@given(size=st.integers(1, 9), batches=st.lists(st.integers(0, 12), max_size=6))
def test_holds_exactly_the_last_keys(size: int, batches: list[int]) -> None:
    queue, everything = filled_by(size, batches)
    last = everything[-size:]
    assert sorted(i for i in queue.index.tolist() if i >= 0) == last
    assert queue.filled == len(last)
    held = queue.index >= 0
    assert torch.equal(queue.table[held][:, 0], queue.index[held].float())
    assert torch.equal(queue.cluster[held], queue.index[held] % 3)
    assert queue.pointer == len(everything) % size


@given(split=st.integers(0, 7))
def test_all_state_is_saved(split: int) -> None:
    batches = [3, 4, 5, 1, 9, 2, 3]
    queue, _ = filled_by(7, batches)
    first, seen = filled_by(7, batches[:split])
    second = Queue(7, 2)
    second.load_state_dict(first.state_dict())
    for batch in batches[split:]:
        index = torch.arange(len(seen), len(seen) + batch)
        second.update(index[:, None].repeat(1, 2).float(), index, index % 3)
        seen.extend(index.tolist())
    for name, value in queue.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_negatives_stay_as_they_were_when_the_queue_moves_on() -> None:
    queue, _ = filled_by(4, [3])
    query = torch.randn(2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    negatives = queue.propose(query, torch.tensor([0, 9]))
    loss = info_nce_with_negatives(query, query, negatives, 0.1)
    before = negatives.table.clone()
    queue.update(query.detach(), torch.tensor([0, 9]))
    loss.backward()  # would raise if a saved tensor had changed
    assert torch.equal(negatives.table, before)


def test_wrong_keys_are_refused() -> None:
    queue = Queue(4, 2)
    with pytest.raises(ValueError, match=r"keys must be \(N, 2\)"):
        queue.update(torch.zeros(3, 5), torch.arange(3))
    with pytest.raises(ValueError, match="one index each"):
        queue.update(torch.zeros(3, 2), torch.arange(2))
    with pytest.raises(ValueError, match=r"size is 0; .*at least 1"):
        Queue(0, 2)


def test_keys_of_which_nothing_is_known_are_negatives_of_all() -> None:
    queue = Queue(5, 2)
    queue.update(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    assert queue.filled == 3
    query = torch.tensor([[1.0, 0.5], [0.2, 1.0]])
    wanted = InfoNCE(0.5)(query, query, queue.table[:3])
    torch.testing.assert_close(InfoNCE(0.5)(query, query, queue.propose()), wanted)
    known = queue.propose(query, torch.tensor([0, 1]))
    torch.testing.assert_close(InfoNCE(0.5)(query, query, known), wanted)


@pytest.mark.parametrize("write", [Queue.update, Queue.write], ids=lambda f: f.__name__)
def test_no_key_is_written_as_an_empty_slot(write: Callable[..., None]) -> None:
    queue = Queue(4, 2)
    before = {name: x.clone() for name, x in queue.state_dict().items()}
    for wrong in (-1, -3):
        with pytest.raises(UserError, match=f"index has {wrong}; .*from 0, or -2"):
            write(queue, torch.ones(2, 2), torch.tensor([3, wrong]))
    assert all(torch.equal(x, before[name]) for name, x in queue.state_dict().items())
    write(queue, torch.ones(2, 2), torch.tensor([3, -2]))
    assert queue.index.tolist() == [3, -2, -1, -1]
