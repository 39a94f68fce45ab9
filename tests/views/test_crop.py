from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from viewfinder.data.domain import Domain
from viewfinder.views.steps.crop import Crop, resize_matrix, resized_crop, sample_crops


@st.composite
def images_and_boxes(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, int]:
    channels, height, width = draw(st.tuples(*[st.integers(1, n) for n in (4, 40, 40)]))
    boxes = []
    for _ in range(3):
        h, w = draw(st.integers(1, height)), draw(st.integers(1, width))
        boxes.append([draw(st.integers(0, height - h)), draw(st.integers(0, width - w)), h, w])
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    shape = (3, channels, height, width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return images, torch.tensor(boxes), draw(st.integers(1, 48))


@settings(max_examples=30, deadline=None)
@given(images_and_boxes())
def test_equals_torchvision_resized_crop(
    case: tuple[torch.Tensor, torch.Tensor, int],
) -> None:
    images, boxes, size = case
    out = resized_crop(images, boxes, size)
    for image, box, ours in zip(images, boxes.tolist(), out, strict=True):
        exact = F.resized_crop(image / 255, *box, size=[size, size], antialias=True)
        rounded = F.resized_crop(image, *box, size=[size, size], antialias=True)
        torch.testing.assert_close(ours, exact, atol=1e-5, rtol=0)
        # torchvision rounds to 8 bits twice
        assert (ours - rounded / 255).abs().max() <= 1 / 255 + 1e-6


@settings(max_examples=20, deadline=None)
@given(images_and_boxes())
def test_flip_mirrors_only_where_asked(case: tuple[torch.Tensor, torch.Tensor, int]) -> None:
    images, boxes, size = case
    plain = resized_crop(images, boxes, size)
    flipped = resized_crop(images, boxes, size, torch.tensor([True, False, True]))
    torch.testing.assert_close(flipped[[0, 2]], plain[[0, 2]].flip(-1), atol=1e-6, rtol=0)
    assert torch.equal(flipped[1], plain[1])


def test_float64_stays_float64_and_the_whole_image_stays_itself() -> None:
    images = torch.rand(2, 3, 9, 9, dtype=torch.float64)
    out = resized_crop(images, torch.tensor([[0, 0, 9, 9]] * 2), 9)
    assert out.dtype == torch.float64
    torch.testing.assert_close(out, images, atol=1e-14, rtol=0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        resized_crop(torch.zeros(3, 8, 8), torch.zeros(1, 4), 8)
    with pytest.raises(ValueError, match=r"boxes have shape \(1, 4\)"):
        resized_crop(torch.zeros(2, 3, 8, 8), torch.zeros(1, 4), 8)


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (32, 32, (0.08, 1.0), (3 / 4, 4 / 3)),
        (48, 96, (0.2, 1.0), (3 / 4, 4 / 3)),
        (16, 96, (0.7, 1.0), (3 / 4, 4 / 3)),  # seldom fits: mostly the centre
        (96, 16, (0.3, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_boxes_are_distributed_as_torchvision_draws_them(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    n = 1500
    ours = sample_crops(n, height, width, scale, ratio, torch.Generator().manual_seed(1)).numpy()
    theirs = torchvisions(n, height, width, scale, ratio)
    for a, b in zip(measures(ours), measures(theirs), strict=True):
        assert ks_2samp(a, b).pvalue > 1e-3


def torchvisions(n: int, height: int, width: int, scale: Any, ratio: Any) -> np.ndarray:
    """Boxes (n, 4) that torchvision draws on an image."""
    image = torch.empty(1, height, width)
    transform = v2.RandomResizedCrop(8, scale=scale, ratio=ratio)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = [transform.make_params([image]) for _ in range(n)]
    return np.array([[d["top"], d["left"], d["height"], d["width"]] for d in drawn])


def measures(b: np.ndarray) -> list[np.ndarray]:
    """What is compared of boxes (n, 4): sides, place, area, ratio."""
    return [*b.T, b[:, 2] * b[:, 3], b[:, 3] / b[:, 2], b[:, 0] - b[:, 1]]


SIDES = [(136, 102), (102, 136), (96, 96), (40, 200), (300, 50)]


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0)])
def test_boxes_of_images_made_square_are_those_of_torchvision_on_each_as_it_was(
    scale: tuple[float, float],
) -> None:
    """Images of several shapes in one batch; what is drawn on their squares is taken back."""
    n, stored = 1500, 64
    sides = torch.tensor(SIDES * n, dtype=torch.int32)
    crop = Crop(32, scale, (3 / 4, 4 / 3))
    domain = Domain("images", (3, stored, stored))
    boxes = crop.draw(len(sides), domain, torch.Generator().manual_seed(1), sides)["boxes"]
    assert boxes.min() >= 0
    assert (boxes[:, :2] + boxes[:, 2:]).max() <= stored * (1 + 1e-6)
    for i, (height, width) in enumerate(SIDES):
        before = boxes[i :: len(SIDES)].numpy() * ([height, width] * 2) / stored
        np.testing.assert_allclose(before, before.round(), atol=1e-3)  # whole pixels of the image
        before = before.round()
        theirs = torchvisions(n, height, width, scale, (3 / 4, 4 / 3))
        for a, b in zip(measures(before), measures(theirs), strict=True):
            assert ks_2samp(a, b).pvalue > 1e-3
        if scale == (0.08, 1.0):  # larger ones seldom fit long images: mostly the centre
            ends = before[:, :2] + before[:, 2:]  # all four ends of the image are reached
            assert (before[:, :2].min(0) == 0).all()
            assert (ends.max(0) == (height, width)).all()


def test_images_of_one_shape_have_the_same_boxes_one_by_one() -> None:
    for height, width in SIDES:
        for scale in ((0.08, 1.0), (0.9, 1.0)):
            drawn = [
                sample_crops(300, *shape, scale, (3 / 4, 4 / 3), torch.Generator().manual_seed(3))
                for shape in (
                    (height, width),
                    (torch.full((300,), height), torch.full((300,), width)),
                )
            ]
            assert torch.equal(*drawn)


@settings(max_examples=40, deadline=None)
@given(
    stored=st.integers(1, 40),
    start=st.floats(0, 0.99),
    share=st.floats(1e-3, 1),
    size=st.integers(1, 40),
)
def test_boxes_of_parts_of_pixels_give_means_of_what_they_touch(
    stored: int, start: float, share: float, size: int
) -> None:
    """However thin a box, each output is a mean of the pixels it touches: none is lost."""
    top, length = stored * start, max(stored * (1 - start) * share, 1e-3)
    line = torch.rand(stored, generator=torch.Generator().manual_seed(0)).double()
    weights = resize_matrix(
        torch.tensor([top], dtype=torch.float64),
        torch.tensor([length], dtype=torch.float64),
        stored,
        size,
    )[0]
    torch.testing.assert_close(weights.sum(1), torch.ones(size, dtype=torch.float64))
    assert (weights >= 0).all()
    touched = line[math.floor(top + 1e-9) : math.ceil(top + length - 1e-9)]
    out = weights @ line
    if len(touched):
        assert (touched.min() - 1e-9 <= out).all()
        assert (out <= touched.max() + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    scale=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    ratio=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted),
    seed=st.integers(0, 1000),
)
def test_boxes_lie_inside_the_image(
    height: int, width: int, scale: list[float], ratio: list[float], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes = sample_crops(50, height, width, tuple(scale), tuple(ratio), generator)
    top, left, h, w = boxes.unbind(1)
    assert (torch.stack([top, left]) >= 0).all()
    assert (torch.stack([h, w]) > 0).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()
