"""The queue: where keys land, what is never a negative, what survives a restart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases

from viewfinder.negatives import Queue


@pytest.mark.parametrize("case", golden_cases("queue_update"))
def test_golden_queue_update(case: Case) -> None:
    bank = case.input("bank0")
    queue = Queue(len(bank), bank.shape[1]).double()
    queue.vectors.copy_(bank)
    for step, batch in enumerate(case.input("batches")):
        queue.update(batch, torch.arange(len(batch)) + 10 * step)
        np.testing.assert_array_equal(queue.vectors.numpy(), case.array("f64/bank_after")[step])
        assert queue.pointer == case.array("f64/ptr_after")[step]
