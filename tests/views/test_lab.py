"""L*a*b* against scikit-image's values, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from torch import Tensor

from viewfinder.views.steps.lab import MEAN, STD, Lab, lab_to_rgb, rgb_to_lab


def planes(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) -> (1, 3, H, W)."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


@pytest.mark.parametrize("case", golden_cases("color"))
def test_golden_lab(case: Case) -> None:
    rgb, wanted = planes(case.array("in/rgb")), planes(case.array("f64/lab"))
    rgb = rgb if rgb.is_floating_point() else rgb.double() / 255
    torch.testing.assert_close(rgb_to_lab(rgb), wanted, atol=1e-10, rtol=1e-9)
    # float32 loses digits of a and b, which are differences of large numbers
    torch.testing.assert_close(rgb_to_lab(rgb.float()), wanted.float(), atol=2e-4, rtol=1e-5)
    if "rgb_from_lab" in case.about["outputs"]:
        back = planes(case.array("f64/rgb_from_lab"))
        torch.testing.assert_close(lab_to_rgb(wanted), back, atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", golden_cases("color"))
def test_golden_lab_step_is_standardised_as_cmc_does(case: Case) -> None:
    rgb = planes(case.array("in/rgb"))
    rgb = rgb if rgb.is_floating_point() else rgb.double() / 255
    wanted = (planes(case.array("f64/lab")) - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(
        STD
    ).view(1, 3, 1, 1)
    step = Lab(MEAN, STD)
    torch.testing.assert_close(step(rgb, {}), wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(step.inverse(step(rgb, {})), rgb, atol=1e-6, rtol=0)


def test_white_black_and_greys() -> None:
    grey = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    lab = rgb_to_lab(grey)[:, :, 0, 0]
    assert lab[:, 0].tolist() == pytest.approx([0.0, 53.389, 100.0], abs=1e-3)
    assert lab[:, 1:].abs().max() < 0.02  # the matrix's own rounding


def test_gradients_equal_finite_differences_on_both_sides_of_every_knee() -> None:
    values = torch.tensor([0.002, 0.02, 0.039, 0.06, 0.3, 0.7, 0.99], dtype=torch.float64)
    rgb = torch.cartesian_prod(values, values, values).T.reshape(1, 3, -1, 1)
    rgb = rgb[:, :, ::7].clone().requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_lab, (rgb,), eps=1e-7, atol=1e-3)


def test_the_gradient_of_black_is_finite() -> None:
    black = torch.zeros(1, 3, 2, 2, requires_grad=True)
    rgb_to_lab(black).sum().backward()
    assert black.grad is not None and black.grad.isfinite().all()
