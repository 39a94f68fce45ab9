from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from viewfinder.views.steps.crop import resized_crop, sample_crops


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
    image = torch.empty(1, height, width)
    transform = v2.RandomResizedCrop(8, scale=scale, ratio=ratio)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = [transform.make_params([image]) for _ in range(n)]
    theirs = np.array([[d["top"], d["left"], d["height"], d["width"]] for d in drawn])

    def measures(b: np.ndarray) -> list[np.ndarray]:
        return [*b.T, b[:, 2] * b[:, 3], b[:, 3] / b[:, 2], b[:, 0] - b[:, 1]]

    for a, b in zip(measures(ours), measures(theirs), strict=True):
        assert ks_2samp(a, b).pvalue > 1e-3


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
