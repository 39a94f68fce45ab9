"""The split into a grid of patches."""

from __future__ import annotations

import pytest
import torch
from pictures import pictures, seeded

from viewfinder.core.errors import UserError
from viewfinder.recipes.recipe import build, complete
from viewfinder.training.module import Pretraining
from viewfinder.views import compose

STEPS = ["crop", "flip", "jitter", "normalise"]


def test_the_grid_of_cpc_is_seven_by_seven_half_over_each_other() -> None:
    made = compose(["normalise"], 256, split="grid")
    assert made.domains[0].shape == (49, 3, 64, 64)
    assert (made.rows, made.step) == (7, 32)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("size", "patch", "overlap"), [(16, 4, 0.5), (16, 8, 0.5), (17, 5, 0.4), (16, 4, 0.0)]
)
def test_each_patch_is_a_slice_of_one_draw(size: int, patch: int, overlap: float) -> None:
    images = pictures(5, 3, 24, 24)
    made = compose(STEPS, size, split={"grid": {"patch": patch, "overlap": overlap}})
    (view,) = made(images, seeded())
    (whole,) = compose(STEPS, size, split={"draws": 1})(images, seeded())
    step, rows = round(patch * (1 - overlap)), made.rows
    start = (size - ((rows - 1) * step + patch)) // 2  # type: ignore[operator]
    assert view.shape == (5, rows**2, 3, patch, patch)  # type: ignore[operator]
    for k in range(rows**2):  # type: ignore[operator]
        y, x = (start + step * int(at) for at in divmod(k, rows))  # type: ignore[operator]
        assert torch.equal(view[:, k], whole[:, :, y : y + patch, x : x + patch])


def test_patches_are_shown_where_they_were() -> None:
    images = pictures(4, 3, 16, 16)
    made = compose(["normalise"], 16, split="grid")
    (view,) = made(images, seeded())
    torch.testing.assert_close(made.shown(view), images / 255, atol=1e-5, rtol=0)


def test_patches_larger_than_the_view_are_refused() -> None:
    with pytest.raises(UserError, match="patches of 20 px do not fit into views of 16 px"):
        compose(STEPS, 16, split="grid:20")


def test_an_encoder_of_images_is_refused_for_a_grid() -> None:
    views = {"preset": "moco", "split": "grid", "count": 1}
    recipe = complete(build("instdis", {"views": views}), (3, 32, 32))
    with pytest.raises(UserError, match="takes images, and these data are clips"):
        Pretraining(recipe, n=8)
