from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.evaluation.probes import logistic
from viewfinder.evaluation.probes.lbfgs import minimise
from viewfinder.evaluation.probes.logistic import (
    LogisticFit,
    cross_entropy,
    fit_logistic,
    preconditioner,
)

DECAYS = torch.tensor([1e-4, 1e-2, 1.0], dtype=torch.float64)


def problem(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """300 rows, 12 columns of very different scale and not independent, 4 unequal classes."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(300, 12, generator=generator, dtype=torch.float64)
    x = x @ torch.randn(12, 12, generator=generator, dtype=torch.float64)
    x = (x - x.mean(0)) * torch.logspace(-1, 0.5, 12, dtype=torch.float64)
    noise = torch.randn(300, 4, generator=generator, dtype=torch.float64)
    return x.to(dtype), (x[:, :4] + 2 * noise + torch.tensor([0, 0.5, 1, 1.5])).argmax(1)


def fitted(x: Tensor, y: Tensor, decays: Tensor, tolerance: float = 1e-9) -> LogisticFit:
    scaling = preconditioner(x, torch.Generator().manual_seed(0))
    return fit_logistic(x, y, 4, decays, scaling, tolerance=tolerance)


def test_the_optimum_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = problem()
    fit = fitted(x, y, DECAYS)
    for m, decay in enumerate(DECAYS.tolist()):
        peer = LogisticRegression(
            C=1 / (decay * len(x)), tol=1e-10, max_iter=20000, solver="newton-cg"
        )
        peer.fit(x.numpy(), y.numpy())
        np.testing.assert_allclose(fit.weight[m].T, peer.coef_, rtol=1e-5, atol=1e-6)
        bias, wanted = fit.bias[m].numpy(), peer.intercept_
        np.testing.assert_allclose(bias - bias.mean(), wanted - wanted.mean(), rtol=1e-5, atol=1e-6)


def test_the_gradient_vanishes_at_the_optimum_by_autograd() -> None:
    x, y = problem()
    fit = fitted(x, y, DECAYS)
    for m, decay in enumerate(DECAYS):
        w, b = fit.weight[m].clone().requires_grad_(), fit.bias[m].clone().requires_grad_()
        loss = F.cross_entropy(x @ w + b, y) + decay / 2 * w.square().sum()
        loss.backward()
        assert w.grad is not None
        assert b.grad is not None
        assert loss.item() == pytest.approx(fit.losses[m].item(), rel=1e-12)
        assert max(w.grad.abs().max().item(), b.grad.abs().max().item()) < 2e-9


def test_loss_and_gradients_by_blocks_equal_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = problem()
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 12, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    wanted = torch.stack([F.cross_entropy(x @ w + b, y) for w, b in zip(weight, bias, strict=True)])
    wanted.sum().backward()
    monkeypatch.setattr(logistic, "BLOCK_VALUES", 1)  # the smallest blocks: 256 rows, then 44
    loss, by_weight, by_bias = cross_entropy(x, y, weight.detach(), bias.detach())
    torch.testing.assert_close(loss, wanted.detach())
    torch.testing.assert_close(by_weight, weight.grad)
    torch.testing.assert_close(by_bias, bias.grad)


def test_weight_decays_fitted_together_equal_those_fitted_alone() -> None:
    x, y = problem()
    together = fitted(x, y, DECAYS)
    for m in range(len(DECAYS)):
        alone = fitted(x, y, DECAYS[m, None])
        torch.testing.assert_close(together.weight[m], alone.weight[0], rtol=1e-5, atol=1e-7)


def test_an_approximate_preconditioner_has_the_same_optimum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = problem()
    exact = fitted(x, y, DECAYS)
    monkeypatch.setattr(logistic, "FULL_RANK", 4)
    monkeypatch.setattr(logistic, "LOW_RANK", 3)
    low_rank = fitted(x, y, DECAYS)
    torch.testing.assert_close(low_rank.weight, exact.weight, rtol=1e-5, atol=1e-7)


def test_a_start_at_the_optimum_is_already_done() -> None:
    x, y = problem()
    scaling = preconditioner(x, torch.Generator().manual_seed(0))
    first = fit_logistic(x, y, 4, DECAYS, scaling, tolerance=1e-9)
    again = fit_logistic(x, y, 4, DECAYS, scaling, start=(first.weight, first.bias), tolerance=2e-9)
    assert again.iterations.tolist() == [0, 0, 0]


def test_float32_reaches_the_float64_optimum() -> None:
    x, y = problem(torch.float32)
    single, double = fitted(x, y, DECAYS, 1e-5), fitted(x.double(), y, DECAYS)
    torch.testing.assert_close(single.losses, double.losses, rtol=1e-5, atol=1e-6)
    assert single.gradients.max() <= 1e-5


def test_a_weight_decay_of_zero_is_refused() -> None:
    x, y = problem()
    with pytest.raises(ValueError, match="positive"):
        fitted(x, y, torch.tensor([0.0, 1.0]))


def test_minimise_quadratics_to_their_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 6, 6, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT + 0.1 * torch.eye(6)
    target = torch.randn(5, 6, generator=generator, dtype=torch.float64)

    def objective(points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gap = points - target[problems]
        gradient = (matrix[problems] @ gap[:, :, None])[:, :, 0]
        return 0.5 * (gap * gradient).sum(1), gradient, gradient.abs().amax(1)

    start = torch.zeros(5, 6, dtype=torch.float64)
    start[2] = target[2]  # solved before it begins
    found = minimise(objective, start, tolerance=1e-10, max_iterations=200)
    torch.testing.assert_close(found.points, target, rtol=0, atol=1e-7)
    assert found.iterations[2] == 0
    assert bool((found.iterations[[0, 1, 3, 4]] > 0).all())


def test_minimise_gives_up_a_problem_that_cannot_go_down() -> None:
    """A gradient that points the wrong way: no step lowers the value."""

    def objective(points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = points[:, 0].square()
        return values, -2 * points, points.abs().amax(1)

    found = minimise(objective, torch.ones(1, 1).double(), tolerance=1e-9, max_iterations=50)
    assert found.points.item() == 1.0
    assert found.values.item() == 1.0
