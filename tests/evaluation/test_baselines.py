from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.evaluation.pixels import pixel_size, raw_pixels

Make = Callable[..., Any]


def test_small_images_are_taken_as_they_are(random_images: Make) -> None:
    images = random_images(5, (3, 4, 6))
    features = raw_pixels(images, batch_size=2)
    torch.testing.assert_close(features * 255, images.images.flatten(1).float())
    assert features.shape == (5, 72)


def test_large_images_are_averaged(random_images: Make) -> None:
    images = random_images(3, (2, 8, 8))
    features = raw_pixels(images, largest=2 * 16)
    wanted = images.images.float().view(3, 2, 4, 2, 4, 2).mean((3, 5)) / 255
    torch.testing.assert_close(features, wanted.flatten(1))


@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 400), st.integers(1, 400)),
    largest=st.integers(64, 5000),
)
def test_the_reduced_size_fits(shape: tuple[int, int, int], largest: int) -> None:
    channels, height, width = pixel_size(shape, largest)
    assert channels == shape[0]
    assert 1 <= height <= shape[1]
    assert 1 <= width <= shape[2]
    if channels * shape[1] * shape[2] <= largest:
        assert (height, width) == shape[1:]
    elif height > 1 and width > 1:
        assert channels * height * width <= largest


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_the_usual_sizes_are_not_reduced(shape: tuple[int, int, int]) -> None:
    assert pixel_size(shape) == shape
