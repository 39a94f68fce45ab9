"""The split into low and high frequencies."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import pictures, seeded
from scipy.ndimage import gaussian_filter

from viewfinder.core.errors import UserError
from viewfinder.views import compose

STEPS = ["crop", "flip", "jitter", "normalise"]


@settings(max_examples=25, deadline=None)
@given(sigma=st.floats(0.01, 50), channels=st.sampled_from([1, 3, 4]), seed=st.integers(0, 99))
def test_both_parts_sum_up_to_the_draw(sigma: float, channels: int, seed: int) -> None:
    steps = ["crop", "flip", "normalise"]
    images = pictures(4, channels)
    low, high = compose(steps, 16, channels=channels, split={"frequency": sigma})(
        images, seeded(seed)
    )
    (whole,) = compose(steps, 16, channels=channels, split={"draws": 1})(images, seeded(seed))
    torch.testing.assert_close(low + high, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0, 2.5])
def test_the_low_part_is_scipys_gaussian_filter(sigma: float) -> None:
    images = pictures(3, 3, 32, 32)
    low, _ = compose(["normalise"], 32, split={"frequency": sigma})(images, seeded())
    x = (images / 255 - 0.5) / 0.5
    radius = math.ceil(4 * sigma)
    for ours, image in zip(low, x, strict=True):
        for plane, pixels in zip(ours, image, strict=True):
            theirs = gaussian_filter(pixels.double().numpy(), sigma, mode="mirror", radius=radius)
            torch.testing.assert_close(plane.double(), torch.from_numpy(theirs), atol=1e-5, rtol=0)


def test_a_larger_sigma_leaves_less_in_the_low_part_and_more_in_the_high_one() -> None:
    images = pictures(6, 3, 32, 32)
    spread = []
    for sigma in (0.05, 0.5, 1, 2, 8):
        low, high = compose(["normalise"], 32, split={"frequency": sigma})(images, seeded())
        spread.append((low.std().item(), high.std().item()))
    lows, highs = zip(*spread, strict=True)
    assert list(lows) == sorted(lows, reverse=True) and list(highs) == sorted(highs)
    assert highs[0] < 1e-4  # nothing is left out by a Gaussian narrower than a pixel


def test_a_sigma_that_is_not_positive_is_refused() -> None:
    for sigma in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UserError, match="sigma"):
            compose(STEPS, 16, split={"frequency": sigma})


def test_the_high_part_is_shown_around_grey() -> None:
    flat = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    made = compose(["normalise"], 16, split="frequency:1")
    low, high = made(flat, seeded())
    torch.testing.assert_close(made.shown(low, 0), flat / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(made.shown(high, 1), torch.full_like(high, 0.5), atol=1e-5, rtol=0)
