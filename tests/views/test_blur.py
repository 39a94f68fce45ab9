from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torchvision.transforms.v2 import functional as F

from viewfinder.views.steps.blur import default_kernel, gaussian_blur, sample_sigma


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    radius=st.integers(0, 3),
    sigmas=st.lists(st.floats(0.1, 5), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
def test_equals_torchvision_gaussian_blur(
    height: int, width: int, radius: int, sigmas: list[float], seed: int
) -> None:
    images = torch.rand(3, 2, height, width, generator=torch.Generator().manual_seed(seed))
    kernel = 2 * radius + 1
    out = gaussian_blur(images, torch.tensor(sigmas), kernel)
    for image, sigma, ours in zip(images, sigmas, out, strict=True):
        theirs = F.gaussian_blur(image, [kernel, kernel], [sigma, sigma])
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_the_default_kernel_is_odd_and_about_a_tenth_of_the_size() -> None:
    assert default_kernel(224) == 23  # SimCLR's
    for size in range(4, 300):
        kernel = default_kernel(size)
        assert kernel % 2 == 1
        assert abs(kernel - size / 10) < 2


def test_sigma_is_uniform() -> None:
    sigma = sample_sigma(2000, (0.1, 2.0), torch.Generator().manual_seed(0))
    assert kstest(sigma.numpy(), "uniform", (0.1, 1.9)).pvalue > 1e-3


def test_float64_stays_float64() -> None:
    images = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    out = gaussian_blur(images, torch.tensor([1.0]), 5)
    theirs = F.gaussian_blur(images[0], [5, 5], [1.0, 1.0])
    torch.testing.assert_close(out[0], theirs, atol=1e-14, rtol=0)


@pytest.mark.parametrize("kernel", [2, 0, -1, 17])
def test_kernels_that_are_even_or_too_large_are_refused(kernel: int) -> None:
    with pytest.raises(ValueError, match="odd number up to 15"):
        gaussian_blur(torch.rand(1, 1, 8, 9), torch.ones(1), kernel)


def test_one_sigma_an_image_is_asked_for() -> None:
    with pytest.raises(ValueError, match="sigma has shape"):
        gaussian_blur(torch.rand(2, 1, 8, 8), torch.ones(1), 3)
