"""Colour spaces against scikit-image's values, their inverses, ranges and gradients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from pictures import pictures, seeded
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.views import STEPS, compose
from viewfinder.views.colours.cie import rgb_to_lab
from viewfinder.views.colours.spaces import SPACES, Space
from viewfinder.views.contract import Step

KEPT = json.loads(Path(__file__).with_name("skimage_colours.json").read_text())
LINEAR = ("yuv", "yiq", "ycbcr", "ypbpr", "ydbdr", "rgbcie")
spaces = pytest.mark.parametrize(("name", "space"), SPACES.items(), ids=list(SPACES))
rows = pytest.mark.parametrize("row", [STEPS[name] for name in SPACES], ids=list(SPACES))


def planes(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) -> (1, 3, H, W)."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def listed(colours: list[list[float]]) -> Tensor:
    """Colours as an image: float64 (1, 3, 1, n)."""
    return planes(np.array([colours], dtype=np.float64))


def cube(side: int) -> Tensor:
    """A grid of all RGB colours: float64 (1, 3, 1, side^3)."""
    values = torch.linspace(0, 1, side, dtype=torch.float64)
    return torch.cartesian_prod(values, values, values).T.reshape(1, 3, 1, -1)


def rgb_of(case: Case) -> Tensor:
    rgb = planes(case.array("in/rgb"))
    return rgb if rgb.is_floating_point() else rgb.double() / 255


@pytest.mark.parametrize("case", golden_cases("color"))
def test_golden_spaces_and_their_inverses(case: Case) -> None:
    rgb, seen = rgb_of(case), 0
    for name, space in SPACES.items():
        if name not in case.about["outputs"]:
            continue
        seen += 1
        wanted = planes(case.array(f"f64/{name}"))
        torch.testing.assert_close(space.of_rgb(rgb), wanted, atol=1e-10, rtol=1e-9)
        if name != "hsv":  # a hue of float32 greys is any
            # differences of large numbers lose digits
            scale = wanted.abs().max().item()
            ours = space.of_rgb(rgb.float())
            torch.testing.assert_close(ours, wanted.float(), atol=2e-6 * scale + 1e-6, rtol=1e-5)
        if f"rgb_from_{name}" in case.about["outputs"]:
            back = planes(case.array(f"f64/rgb_from_{name}"))
            torch.testing.assert_close(space.to_rgb(wanted), back, atol=1e-6, rtol=0)
    assert seen == 8


@pytest.mark.parametrize("name", KEPT["spaces"])
def test_spaces_equal_scikit_images(name: str) -> None:
    rgb, values, back = (
        listed(x)
        for x in (
            KEPT["rgb"],
            KEPT["spaces"][name]["values"],
            KEPT["spaces"][name]["back"],
        )
    )
    torch.testing.assert_close(SPACES[name].of_rgb(rgb), values, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(SPACES[name].to_rgb(values), back, atol=1e-8, rtol=0)


def test_every_space_but_rgb_itself_has_values_of_scikit_image() -> None:
    assert set(KEPT["spaces"]) == set(SPACES) - {"rgb"}


@spaces
def test_the_way_back_is_the_way_back(name: str, space: Space) -> None:
    rgb = cube(9)
    near = torch.isclose(space.to_rgb(space.of_rgb(rgb)), rgb, atol=1e-9).all(1)
    assert bool(near.all()) == (not space.lossy)
    if space.lossy:  # what was not cut comes back, except for the logarithm of 0
        whole = (space.of_rgb(rgb) > 1e-9).all(1) & (rgb > 0).all(1)
        assert whole.sum() > 10 and bool(near[whole].all())


@spaces
def test_channels_are_divided_by_half_their_range(name: str, space: Space) -> None:
    values = space.of_rgb(cube(33)).amin(3), space.of_rgb(cube(33)).amax(3)
    half = (values[1] - values[0]).flatten() / 2
    # hue ends short of 1, and CMC's were measured on 8 bits
    torch.testing.assert_close(half, half.new_tensor(space.std), rtol=0.02, atol=0)


@rows
@pytest.mark.parametrize("case", golden_cases("color"))
def test_golden_steps_are_standardised(case: Case, row: Step) -> None:
    rgb, space = rgb_of(case), SPACES[row.name]
    mean, std = (torch.tensor(v).double().view(1, 3, 1, 1) for v in (space.mean, space.std))
    step = row.build(row.options(), None)  # type: ignore[arg-type]
    wanted = (space.of_rgb(rgb) - mean) / std
    torch.testing.assert_close(step(rgb.clone(), {}), wanted, atol=1e-6, rtol=0)


def test_lab_ycbcr_and_ydbdr_have_the_numbers_of_cmcs_code() -> None:
    for name, mean, std in (
        ("lab", (50, 6.025, -6.6895), (50, 92.208, 101.1675)),
        ("ycbcr", (116.151, 121.080, 132.342), (109.5, 111.855, 111.964)),
        ("ydbdr", (0.457, -0.082, -0.052), (0.5, 1.331, 1.333)),
    ):
        options = STEPS[name].options()
        assert (options.mean, options.std) == (mean, std)  # type: ignore[attr-defined]


def test_white_black_and_greys() -> None:
    grey = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    lab = rgb_to_lab(grey)[:, :, 0, 0]
    assert lab[:, 0].tolist() == pytest.approx([0.0, 53.389, 100.0], abs=1e-3)
    assert lab[:, 1:].abs().max() < 0.02  # the matrix's own rounding


@spaces
def test_gradients_equal_finite_differences_on_both_sides_of_every_knee(
    name: str, space: Space
) -> None:
    values = torch.tensor([0.002, 0.02, 0.039, 0.06, 0.3, 0.7, 0.99], dtype=torch.float64)
    # no two values are equal, where hue has a kink
    steps = torch.tensor([0.0, 1e-3, 2e-3], dtype=torch.float64)
    rgb = torch.cartesian_prod(values, values, values) + steps
    rgb = rgb.T.reshape(1, 3, -1, 1)[:, :, ::7].clone().requires_grad_()
    assert torch.autograd.gradcheck(space.of_rgb, (rgb,), eps=1e-7, atol=1e-3)


@spaces
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_gradient_of_black_grey_and_white_is_finite(
    name: str, space: Space, value: float
) -> None:
    for dtype in (torch.float32, torch.float64):
        grey = torch.full((1, 3, 2, 2), value, dtype=dtype, requires_grad=True)
        space.of_rgb(grey).sum().backward()
        assert grey.grad is not None and grey.grad.isfinite().all()


@rows
def test_grey_images_are_refused_with_a_way_out(row: Step) -> None:
    with pytest.raises(UserError, match=rf"step {row.name} needs 3 channels.*has 1") as refused:
        compose(["crop", row.name], 16, channels=1)
    assert str(refused.value).endswith("channels=3")


@rows
def test_channels_of_every_space_are_two_views(row: Step) -> None:
    images = pictures(4)
    for k in (1, 2):
        made = compose(["crop", "flip", row.name], 16, split=f"channels:{k}")
        assert [view.shape[1] for view in made(images, seeded())] == [k, 3 - k]
        assert list(made.networks) == ["first", "second"]
