from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.sgd import SGD_PROTOCOLS, SGDProtocol, fit_sgd_probe

Blobs = Callable[..., tuple[Tensor, Tensor]]


def dummy(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def test_milestones_follow_torch() -> None:
    moco = SGD_PROTOCOLS["moco"]
    peer = torch.optim.lr_scheduler.MultiStepLR(optimiser := dummy(30.0), [60, 80])
    for epoch in range(100):
        assert moco.rate(epoch, 3, 10) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        peer.step()


@pytest.mark.parametrize("name", ["simclr", "ci-infonce"])
def test_cosine_follows_torch(name: str) -> None:
    row, steps = SGD_PROTOCOLS[name], 7
    length = row.epochs if row.per_epoch else row.epochs * steps
    optimiser = dummy(row.lr)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, length, row.final * row.lr)
    for now in range(length):
        epoch, step = (now, 3) if row.per_epoch else divmod(now, steps)
        assert row.rate(epoch, step, steps) == pytest.approx(
            optimiser.param_groups[0]["lr"], rel=1e-6
        )
        optimiser.step()
        peer.step()


def test_full_batches_follow_gradient_descent_by_hand(blobs: Blobs) -> None:
    """With one batch an epoch the order is of no matter: Nesterov's rule written out."""
    x, y = blobs(40, 3, 5, apart=1.0)
    x = x.double()
    row = replace(SGD_PROTOCOLS["ci-infonce"], batch_size=40, epochs=6)
    layer = fit_sgd_probe(x, y, 3, row, seed=2)
    start = fit_sgd_probe(x, y, 3, replace(row, lr=0.0, weight_decay=0.0), seed=2)
    w, b = start.weight.detach().clone(), start.bias.detach().clone()
    assert w.std().item() == pytest.approx(0.01, rel=0.6)
    speed: list[Tensor] = []
    for epoch in range(6):
        w.requires_grad_(), b.requires_grad_()
        gradients = torch.autograd.grad(F.cross_entropy(x @ w.T + b, y), [w, b])
        w, b = w.detach(), b.detach()
        gradients = [g + 1e-4 * p for g, p in zip(gradients, (w, b), strict=True)]
        speed = [
            g if not speed else 0.95 * v + g
            for g, v in zip(gradients, speed or gradients, strict=True)
        ]
        lr = row.rate(epoch, 0, 1)
        w = w - lr * (gradients[0] + 0.95 * speed[0])
        b = b - lr * (gradients[1] + 0.95 * speed[1])
    torch.testing.assert_close(layer.weight.detach(), w)
    torch.testing.assert_close(layer.bias.detach(), b)


@pytest.mark.parametrize("row", SGD_PROTOCOLS.values(), ids=SGD_PROTOCOLS)
def test_every_protocol_separates_what_is_separable(row: SGDProtocol, blobs: Blobs) -> None:
    x, y = blobs(300, 3, 8, apart=10.0)
    layer = fit_sgd_probe(x, y, 3, replace(row, epochs=10, milestones=row.milestones and (6, 8)))
    test_x, test_y = blobs(90, 3, 8, apart=10.0, seed=1)
    assert bool((layer(test_x).argmax(1) == test_y).all())


def test_fewer_rows_than_a_batch_still_train(blobs: Blobs) -> None:
    x, y = blobs(20, 2, 4, apart=10.0)
    row = replace(SGD_PROTOCOLS["infocl"], epochs=60)
    assert row.drop_last
    assert bool((fit_sgd_probe(x, y, 2, row)(x).argmax(1) == y).all())


def test_divergence_is_said(blobs: Blobs) -> None:
    x, y = blobs(64, 2, 4, apart=1.0)
    row = replace(SGD_PROTOCOLS["moco"], lr=1e30, epochs=3)
    with pytest.raises(UserError, match="diverged"):
        fit_sgd_probe(1e20 * x, y, 2, row)


def test_the_global_random_state_is_left_alone(blobs: Blobs) -> None:
    x, y = blobs(20, 2, 4, apart=1.0)
    before = torch.get_rng_state()
    fit_sgd_probe(x, y, 2, replace(SGD_PROTOCOLS["moco"], epochs=1))
    assert torch.equal(before, torch.get_rng_state())
