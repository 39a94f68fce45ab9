"""The normaliser of NCE is estimated once, of negatives that there are, in training mode."""

from __future__ import annotations

import torch

from viewfinder.negatives import Queue
from viewfinder.objectives import NCE


def test_an_empty_queue_settles_nothing() -> None:
    z0, z1 = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)).unbind()
    index, loss, queue = torch.arange(6), NCE(0.07), Queue(64, 8)
    loss(z0, z1, queue.propose(z0, index))
    assert loss.log_mean.isneginf()
    queue.update(torch.randn(40, 8), torch.arange(100, 140))
    fresh = NCE(0.07)
    wanted = fresh(z0, z1, queue.propose(z0, index))
    torch.testing.assert_close(loss(z0, z1, queue.propose(z0, index)), wanted)
    torch.testing.assert_close(loss.log_mean, fresh.log_mean)


def test_evaluation_settles_nothing() -> None:
    z0, z1 = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)).unbind()
    queue, loss = Queue(64, 8), NCE(0.07).eval()
    queue.update(torch.randn(40, 8), torch.arange(100, 140))
    assert loss(z0, z1, queue.propose(z0, torch.arange(6))).isfinite()
    assert loss.log_mean.isneginf()
