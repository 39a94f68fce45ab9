from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from viewfinder.report.sprites import displayable, encode, fit, sheet, shrink


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]))
def test_tile_i_of_the_sheet_is_thumbnail_i(n: int, height: int, width: int, c: int) -> None:
    images = noise(n, height, width, c)
    packed = sheet(images)
    assert packed.uri.startswith("data:image/png")
    whole = decode(packed.uri).reshape(packed.rows * packed.pitch_y, -1, c)
    assert whole.shape[1] == packed.columns * packed.pitch_x
    for i, image in enumerate(images):
        x, y = packed.corner(i)
        np.testing.assert_array_equal(whole[y : y + height, x : x + width], image)


def test_a_sheet_over_its_budget_is_a_jpeg_whose_tiles_do_not_bleed() -> None:
    images = np.zeros((9, 12, 12, 3), np.uint8)
    images[::2] = 255
    images[:, :8, :8] = noise(9, 8, 8, 3)
    packed = sheet(images, budget=1800)
    assert packed.uri.startswith("data:image/jpeg")
    whole = decode(packed.uri).astype(int)
    for i, image in enumerate(images):
        x, y = packed.corner(i)
        # The 8x8 block at the far corner holds one colour: its tile's, whatever is beside it.
        assert np.abs(whole[y + 8 : y + 12, x + 8 : x + 12] - image[8:, 8:]).max() <= 6


def test_encode_keeps_to_its_budget() -> None:
    image = noise(96, 96, 3)
    assert len(base64.b64decode(encode(image, 20_000).split(",", 1)[1])) <= 20_000


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_other_channel_counts_become_their_mean(channels: int) -> None:
    images = noise(3, 5, 4, channels)
    shown = displayable(images)
    assert shown.shape == (3, 5, 4, 1)
    assert np.abs(shown[..., 0] - images.astype(float).mean(-1)).max() <= 0.5


def test_fit_keeps_the_aspect_and_pads_with_black() -> None:
    wide = np.full((1, 4, 8, 1), 200, np.uint8)
    fitted = fit(wide, 8, 8)[0, ..., 0]
    assert (fitted[2:6] == 200).all()
    assert (fitted[:2] == 0).all()
    assert (fitted[6:] == 0).all()


def test_enlarging_repeats_pixels() -> None:
    small = noise(2, 3, 3, 3)
    np.testing.assert_array_equal(fit(small, 9, 9), small.repeat(3, axis=1).repeat(3, axis=2))


def test_shrink_bounds_the_longer_side_only_downwards() -> None:
    assert shrink(noise(2, 60, 120, 3), 48).shape == (2, 24, 48, 3)
    assert shrink(noise(2, 10, 20, 3), 48).shape == (2, 10, 20, 3)
