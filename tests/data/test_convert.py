from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from viewfinder.core.errors import UserError
from viewfinder.data.convert import (
    channel_note,
    converted_shape,
    in_proportion,
    to_channels,
    to_square,
)
from viewfinder.data.domain import Modality
from viewfinder.data.source import sides_of
from viewfinder.data.stored import ArrayData, ConvertedImages, JoinedData, Subset, collect


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_luma_is_pillows(seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    got = to_channels(torch.from_numpy(rgb).permute(2, 0, 1)[None], 1)
    np.testing.assert_array_equal(got[0, 0], np.asarray(Image.fromarray(rgb).convert("L")))


def test_grey_is_repeated_and_stays_itself_as_luma() -> None:
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    colour = to_channels(grey, 3)
    assert colour.shape == (1, 3, 16, 16)
    assert torch.equal(to_channels(colour, 1), grey)


@pytest.mark.parametrize("shape", [(20, 30), (31, 21), (8, 8), (5, 40)])
@pytest.mark.parametrize("size", [4, 16])
def test_square_is_pillows_antialiased_resize(shape: tuple[int, int], size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    expected = np.asarray(whole).astype(int)
    got = to_square(torch.from_numpy(image).permute(2, 0, 1)[None], size)[0].permute(1, 2, 0)
    assert np.abs(got.numpy().astype(int) - expected).max() <= 1


def test_only_conversions_with_one_meaning() -> None:
    assert channel_note(3, None, "x") is None
    assert channel_note(13, 13, "x") is None
    assert "repeated" in str(channel_note(1, 3, "x"))
    assert "luma" in str(channel_note(3, 1, "x"))
    for have, want in ((4, 3), (3, 4), (2, 1), (13, 3)):
        with pytest.raises(UserError, match=f"{have} channels and data.channels is {want}"):
            channel_note(have, want, "x")


def test_pictures_are_shown_in_their_own_proportions() -> None:
    white = torch.full((3, 1, 12, 12), 255, dtype=torch.uint8)
    assert in_proportion(white, None) is white
    made = in_proportion(white, torch.tensor([[30, 10], [5, 10], [7, 7]]))
    for image, (rows, columns) in zip(made[:, 0] == 255, [(12, 4), (6, 12), (12, 12)], strict=True):
        assert image.any(1).sum() == rows
        assert image.any(0).sum() == columns
        assert image.sum() == rows * columns
        assert torch.equal(image, image.flip(0, 1))  # in the middle


def test_images_made_square_keep_the_sides_they_had() -> None:
    tensor = torch.zeros(4, 3, 6, 5, dtype=torch.uint8)
    rows = np.array([3, 0])
    for data in (
        ConvertedImages(ArrayData(tensor), None, 4),
        collect([tensor], 4, (3, 6, 5), size=4),
    ):
        assert data.shape == (3, 4, 4)
        for sides in (
            sides_of(data, rows),
            sides_of(Subset(data, rows)),
            sides_of(Subset(Subset(data, np.arange(4)), rows), np.array([1, 0])),
        ):
            assert sides is not None
            assert sides.tolist() == [[6, 5]] * 2
        square = ArrayData(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
        joined = sides_of(JoinedData([square, data]))
        assert joined is not None
        assert joined.tolist() == [[4, 4]] * 2 + [[6, 5]] * 4
    for data in (
        ArrayData(tensor),  # not square, as stored
        ConvertedImages(ArrayData(tensor), 1, None),
        collect([tensor[..., :5, :]], 4, (3, 5, 5), size=4),
        JoinedData([ArrayData(tensor)] * 2),
    ):
        assert sides_of(data) is None


@given(
    rows=st.lists(st.integers(0, 9), max_size=12),
    channels=st.sampled_from([None, 1, 3]),
    size=st.sampled_from([None, 3, 7]),
)
@settings(max_examples=25, deadline=None)
def test_collections_agree_on_shape_and_content(
    rows: list[int], channels: int | None, size: int | None
) -> None:
    tensor = torch.randint(0, 256, (10, 3, 6, 5), dtype=torch.uint8)
    index = np.array(rows, dtype=np.int64)
    plain = ArrayData(tensor)
    assert torch.equal(plain.read(index), tensor[index])
    reversed_rows = np.arange(10)[::-1].copy()
    assert torch.equal(Subset(plain, reversed_rows).read(index), tensor[9 - index])
    converted = ConvertedImages(plain, channels, size)
    assert converted.shape == converted_shape((3, 6, 5), channels, size)
    assert converted.read(index).shape == (len(rows), *converted.shape)


def test_reading_gives_memory_of_its_own() -> None:
    images = ArrayData(torch.zeros(4, 1, 2, 2, dtype=torch.uint8))
    images.read(np.arange(4)).fill_(9)
    assert int(images.tensor.sum()) == 0


@pytest.mark.parametrize(
    ("modality", "good"),
    [
        ("images", torch.zeros(5, 3, 4, 4, dtype=torch.uint8)),
        ("points", torch.randn(5, 2)),
        ("tokens", torch.arange(35).reshape(5, 7)),
        ("clips", torch.zeros(5, 2, 3, 4, 4, dtype=torch.uint8)),
    ],
)
def test_data_of_every_kind_are_kept_selected_and_joined(
    modality: Modality, good: torch.Tensor
) -> None:
    data = ArrayData(good, modality)
    part = Subset(data, np.array([4, 1, 0]))
    joined = JoinedData([part, data])
    for one in (data, part, joined):
        assert (one.modality, one.shape) == (modality, tuple(good.shape[1:]))
    assert torch.equal(joined.read(np.array([0, 4, 2])), good[[4, 1, 0]])
    with pytest.raises(ValueError, match=f"{modality} are"):
        ArrayData(good.double(), modality)
    with pytest.raises(ValueError, match="one kind and shape"):
        JoinedData([data, ArrayData(torch.zeros(2, 3), "points")])


def test_array_images_refuse_other_tensors() -> None:
    with pytest.raises(ValueError, match="uint8"):
        ArrayData(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        ArrayData(torch.zeros(3, 4, 4, dtype=torch.uint8))
