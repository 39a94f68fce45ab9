"""Patches of large images: where they are, and how their places are spread."""

from __future__ import annotations

import pytest
import torch
from pictures import pictures, seeded
from scipy.stats import kstest
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.views import compose
from viewfinder.views.splits.patches import windows


def coordinates(n: int, height: int = 200, width: int = 250) -> Tensor:
    """Images whose pixels say where they are: row, column, and 0."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[0] = torch.arange(height)[:, None]
    image[1] = torch.arange(width)
    return image.expand(n, -1, -1, -1).contiguous()


def corners(n: int, seed: int = 0, size: int = 16, **options: int) -> tuple[Tensor, Tensor]:
    """Top and left of both patches, (n, 2) each, read from what they show."""
    split = {"patches": {"size": size, **options}}
    made = compose([{"normalise": {"mean": [0.0], "std": [1 / 255]}}], 64, split=split)
    first, second = made(coordinates(n), seeded(seed))
    for view in (first, second):  # nothing is resized: pixels follow each other
        assert view.shape == (n, 3, size, size)
        steps = torch.arange(size).float()
        torch.testing.assert_close(
            view[:, 0] - view[:, 0, :1, :1], steps[:, None].expand(n, -1, size), atol=1e-3, rtol=0
        )
    return first[:, :2, 0, 0].round(), second[:, :2, 0, 0].round()


@pytest.mark.parametrize("offset", [0, 1, 64, 128])
def test_patches_are_exactly_so_far_apart(offset: int) -> None:
    first, second = corners(50, offset=offset)
    assert torch.equal(second - first, torch.full_like(first, offset))
    assert len(first.unique(dim=0)) > 40


def test_places_are_spread_alike_for_every_offset_up_to_the_reach() -> None:
    n, reach, size = 3000, 128, 16
    room = torch.tensor([200 - size - reach, 250 - size - reach])
    for offset in (0, 32, 128):
        first, second = corners(n, seed=offset, size=size, offset=offset, reach=reach)
        for axis in range(2):
            # integers, spread over their unit, are uniform
            jitter = torch.rand(n, generator=seeded(1))
            for places, start in ((first, 0), (second, offset)):
                spread = (places[:, axis] - start + jitter) / (room[axis] + 1)
                assert kstest(spread.numpy(), "uniform").pvalue > 1e-3
        assert (first >= 0).all() and (first <= room).all()
        assert (first.amax(0) == room).all()


def test_without_a_reach_a_larger_offset_leaves_less_room() -> None:
    near, _ = corners(2000, offset=0)
    far, _ = corners(2000, offset=128)
    assert near.amax(0).tolist() == [184, 234]
    assert far.amax(0).tolist() == [56, 106]


def test_images_that_are_too_small_are_refused_with_the_numbers() -> None:
    made = compose(["normalise"], 64, split="patches:128")
    made(pictures(2, 3, 192, 200), seeded())
    with pytest.raises(UserError, match=r"64 px that are 128 px apart need .* 192 px.*190 x"):
        made(pictures(2, 3, 190, 300), seeded())
    wide = compose(["normalise"], 64, split={"patches": {"offset": 0, "reach": 384}})
    with pytest.raises(UserError, match="448 px or more; the smallest has 300 x 500"):
        wide(pictures(2, 3, 300, 500), seeded())
    with pytest.raises(UserError, match="largest of the sweep is said to be 64"):
        compose(["normalise"], 64, split={"patches": {"offset": 128, "reach": 64}})


def test_each_patch_goes_through_its_own_list_of_steps() -> None:
    images = pictures(8, 3, 40, 40)
    split = {"patches": {"offset": 20, "size": 8}}
    first, second = compose(["normalise"], 32, second=[{"grey": 1.0}, "normalise"], split=split)(
        images, seeded()
    )
    assert not (first[:, :1] == first).all()
    assert (second[:, :1] == second).all()


def test_windows_are_slices() -> None:
    images = pictures(5, 2, 9, 11)
    top, left = torch.randint(0, 5, (5, 3)), torch.randint(0, 7, (5, 3))
    found = windows(images, top, left, 4)
    for i in range(5):
        for k in range(3):
            y, x = int(top[i, k]), int(left[i, k])
            assert torch.equal(found[i, k], images[i, :, y : y + 4, x : x + 4])
    assert torch.equal(windows(images, top[:, 0], left[:, 0], 4), found[:, 0])
