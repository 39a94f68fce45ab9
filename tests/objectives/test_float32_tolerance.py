"""The tolerance that golden values in float32 are compared with: it holds, and is not loose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from golden.cases import Case, float32_tolerance, vanishing_gradient
from torch import Tensor
from torch.nn import functional as F

from viewfinder.objectives import info_nce, nt_xent

Loss = Callable[[Tensor, Tensor, float], Tensor]


def dense_nt_xent(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    z = F.normalize(torch.cat([x, y]))
    logits = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(x)))


def dense_info_nce(x: Tensor, y: Tensor, temperature: float) -> Tensor:
    logits = F.normalize(x) @ F.normalize(y).T / temperature
    return F.cross_entropy(logits, torch.arange(len(x)))


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.1, 0.5])
@pytest.mark.parametrize(
    ("ours", "dense"), [(nt_xent, dense_nt_xent), (info_nce, dense_info_nce)], ids=["nt", "info"]
)
def test_float32_errs_by_no_more_than_the_tolerance(
    ours: Loss, dense: Loss, temperature: float
) -> None:
    """Against the same loss in float64 on the same inputs: of ours, and of the textbook's form, on
    random draws whose positives are far, near and nearly the same."""
    case = Case("", "", {"params": {"temperature": temperature}, "inputs": {}})
    tolerance = float32_tolerance(case)
    for seed in range(40):
        n, dim = [(2, 3), (4, 8), (16, 32), (64, 128)][seed % 4]
        generator = torch.Generator().manual_seed(seed)
        first, noise = torch.randn(2, n, dim, generator=generator)
        second = first + [3, 1, 0.1, 0.01][seed // 4 % 4] * noise
        for loss in (ours, dense):
            values, gradients = [], []
            for dtype in (torch.float32, torch.float64):
                x = first.to(dtype).clone().requires_grad_()
                value = loss(x, second.to(dtype), temperature)
                value.backward()
                assert x.grad is not None
                values.append(value.item())
                gradients.append(x.grad.numpy())
            error = abs(values[0] - values[1])
            assert error <= tolerance + 2e-6 * abs(values[1])
            bound = 2e-5 * np.abs(gradients[1]).max() + vanishing_gradient(case, first.numpy())
            assert (np.abs(gradients[0] - gradients[1]) <= bound).all()
    # what is wrong is told: a temperature that is off by a thousandth
    x, y = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0)).unbind()
    wrong, right = (ours(x, y, temperature * factor).item() for factor in (1.001, 1))
    assert abs(wrong - right) > tolerance + 2e-6 * right
