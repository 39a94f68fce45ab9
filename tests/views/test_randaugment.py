"""RandAugment: each operation against torchvision or PIL with equal parameters; the draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import pictures, seeded
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from viewfinder.data.domain import Domain
from viewfinder.views import STEPS, compose
from viewfinder.views.operations import tone
from viewfinder.views.steps.randaugment import FILL, OPERATIONS, RandAugment, RandAugmentOptions

N = 24
RGB_FILL = tuple(round(255 * v) for v in FILL)
MODES = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def smooth(n: int = N, height: int = 20, width: int = 26) -> Tensor:
    """Pictures of 8 bits with areas and edges: uint8 (n, 3, height, width)."""
    return F.gaussian_blur(pictures(n, 3, height, width), [5, 5], [1.0, 1.0])


def factor(level: float) -> float:
    return 0.1 + 1.8 * level / 10


def by_torchvision(name: str) -> Callable[[Tensor, float], Tensor]:
    return {
        "auto-contrast": lambda x, level: F.autocontrast(x),
        "equalize": lambda x, level: F.equalize(x),
        "invert": lambda x, level: F.invert(x),
        "posterize": lambda x, level: F.posterize(x, int(4 * level / 10)),
        "solarize": lambda x, level: F.solarize(x, min(int(256 * level / 10) / 255, 1)),
        "colour": lambda x, level: F.adjust_saturation(x, factor(level)),
        "contrast": lambda x, level: F.adjust_contrast(x, factor(level)),
        "brightness": lambda x, level: F.adjust_brightness(x, factor(level)),
        "sharpness": lambda x, level: F.adjust_sharpness(x, factor(level)),
    }[name]


def by_pil(name: str) -> Callable[[Image.Image, float, Any], Image.Image]:
    """Of an image, a signed level and an interpolation, as timm calls PIL."""

    def affine(image: Image.Image, entries: tuple[float, ...], mode: Any) -> Image.Image:
        how = Image.Transform.AFFINE
        return image.transform(image.size, how, entries, resample=mode, fillcolor=RGB_FILL)

    return {
        "rotate": lambda im, v, mode: im.rotate(3 * v, resample=mode, fillcolor=RGB_FILL),
        "shear-x": lambda im, v, mode: affine(im, (1, 0.03 * v, 0, 0, 1, 0), mode),
        "shear-y": lambda im, v, mode: affine(im, (1, 0, 0, 0.03 * v, 1, 0), mode),
        "translate-x": lambda im, v, mode: affine(
            im, (1, 0, 0.045 * v * im.size[0], 0, 1, 0), mode
        ),
        "translate-y": lambda im, v, mode: affine(
            im, (1, 0, 0, 0, 1, 0.045 * v * im.size[1]), mode
        ),
    }[name]


def drawn_for(n: int) -> dict[str, Tensor]:
    generator = seeded(3)
    return {
        "level": torch.rand(n, generator=generator) * 10,
        "sign": torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0),
        "cubic": torch.rand(n, generator=generator) < 0.5,
    }


GEOMETRIC = ["rotate", "shear-x", "shear-y", "translate-x", "translate-y"]


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in [*GEOMETRIC, "solarize-add"]])
def test_operations_on_tones_are_torchvisions(name: str) -> None:
    x = smooth() / 255
    x[1] = 0.25  # one value alone
    x[2, :2] = 0.5
    drawn = drawn_for(N)
    drawn["level"][:2] = torch.tensor([0.0, 10.0])
    ours = OPERATIONS[name](x, drawn)
    for image, level, made in zip(x, drawn["level"].tolist(), ours, strict=True):
        wanted = by_torchvision(name)(image, level)
        if name == "solarize" and level == 10:
            wanted = image  # 256 of 255: nothing is that bright
        torch.testing.assert_close(made, wanted, atol=2e-6, rtol=0)


def test_posterize_of_no_bits_is_black_and_of_eight_what_pil_does() -> None:
    x = smooth() / 255
    assert tone.posterize(x, torch.zeros(N)).abs().max() == 0
    levels = (tone.posterize(x, torch.full((N,), 8)) * 256).round()
    assert torch.equal(levels, (x * 255).round())


def test_solarize_add_brightens_what_is_dark() -> None:
    x = torch.tensor([0, 100, 127, 128, 255]).view(1, 1, 1, 5) / 255
    made = OPERATIONS["solarize-add"](x, {"level": torch.tensor([10.0])})
    assert (made * 255).round().flatten().tolist() == [110, 210, 237, 128, 255]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_operations_are_pils(name: str) -> None:
    images, drawn = smooth(), drawn_for(N)
    ours = OPERATIONS[name](images / 255, drawn)
    near = []
    for i, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        value = (drawn["level"][i] * drawn["sign"][i]).item()
        theirs = by_pil(name)(picture, value, MODES[int(drawn["cubic"][i])])
        theirs = torch.from_numpy(np.array(theirs)).permute(2, 0, 1)
        near.append((ours[i] * 255 - theirs).abs() <= 1.01)  # PIL rounds, or cuts, to 8 bits
    # a pixel on the very border of the image may fall on either side of it
    share = torch.stack(near).float().mean()
    assert share > 0.998, share


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(list(OPERATIONS)),
    channels=st.sampled_from([1, 3, 5]),
    level=st.floats(0, 10),
    height=st.integers(2, 30),
    width=st.integers(2, 30),
)
def test_values_stay_in_the_unit_interval(
    name: str, channels: int, level: float, height: int, width: int
) -> None:
    x = pictures(4, channels, height, width) / 255
    before = x.clone()
    drawn = {**drawn_for(4), "level": torch.full((4,), level)}
    made = OPERATIONS[name](x, drawn)
    assert made.shape == x.shape and made.dtype == x.dtype
    assert made.min() >= 0 and made.max() <= 1
    assert torch.equal(x, before)


def test_each_image_has_its_operations_in_the_order_drawn() -> None:
    step = RandAugment(RandAugmentOptions(n=3, chance=0.7), Domain("images", (3, 20, 26)))
    x = smooth(40) / 255
    drawn = step.draw(40, Domain("images", (3, 20, 26)), seeded(5))
    made, operations = step(x, drawn), list(OPERATIONS.values())
    for i in range(40):
        wanted = x[i : i + 1]
        for k in range(3):
            if drawn["applied"][i, k]:
                own = {name: value[i : i + 1, k] for name, value in drawn.items()}
                wanted = operations[int(drawn["operation"][i, k])](wanted, own)
        torch.testing.assert_close(made[i : i + 1], wanted, atol=1e-5, rtol=0)


def test_draws_are_those_of_the_released_code() -> None:
    n = 30_000
    options = RandAugmentOptions(magnitude=5)
    step = RandAugment(options, Domain("images", (3, 20, 26)))
    drawn = step.draw(n, Domain("images", (3, 20, 26)), seeded())
    assert all(value.shape == (n, 2) for value in drawn.values())
    counts = drawn["operation"].flatten().bincount(minlength=15) / (2 * n)
    torch.testing.assert_close(counts, torch.full((15,), 1 / 15), atol=0.005, rtol=0)
    same = (drawn["operation"][:, 0] == drawn["operation"][:, 1]).float().mean().item()
    assert same == pytest.approx(1 / 15, abs=0.006)  # with replacement
    assert drawn["applied"].float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn["level"].mean().item() == pytest.approx(5, abs=0.01)
    assert drawn["level"].std().item() == pytest.approx(0.5, abs=0.01)
    strongest = RandAugment(RandAugmentOptions(), Domain("images", (3, 20, 26)))
    level = strongest.draw(n, Domain("images", (3, 20, 26)), seeded())["level"]
    assert level.max() == 10
    assert (level == 10).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_a_larger_magnitude_moves_images_further() -> None:
    """Of a picture that becomes brighter from corner to corner, by what has the identity at 0."""
    ramp = torch.linspace(0, 1, 32)
    x = ((ramp + ramp[:, None]) / 2).expand(N, 3, 32, 32).contiguous()
    for name in ("rotate", "shear-x", "shear-y", "translate-x", "translate-y", "solarize-add"):
        moved = [
            (OPERATIONS[name](x, {**drawn_for(N), "level": torch.full((N,), level)}) - x)
            .abs()
            .mean()
            .item()
            for level in (0.0, 2.0, 5.0, 10.0)
        ]
        assert moved[0] < 1e-6 and moved == sorted(moved), name


def test_the_preset_has_the_steps_of_the_paper_in_its_codes_order() -> None:
    from viewfinder.views.compose import preset_items

    first, second = preset_items("infomin", 224)
    assert first == second
    names = [item.step.name for item in first]
    assert names == ["crop", "flip", "jitter", "blur", "randaugment", "grey", "normalise"]
    by_name: dict[str, Any] = {item.step.name: item.options for item in first}
    assert by_name["crop"].scale == (0.2, 1.0)
    jitter, blur = by_name["jitter"], by_name["blur"]
    assert (jitter.strength, jitter.p) == ((0.8, 0.8, 0.8, 0.2), 0.8)
    assert (blur.p, blur.sigma, blur.kernel) == (0.5, (0.1, 2.0), None)
    operations = by_name["randaugment"]
    assert (operations.n, operations.magnitude, operations.noise) == (2, 10, 0.5)
    assert operations.chance == 0.5
    assert list(OPERATIONS) == [
        *("auto-contrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize-add"),
        *("colour", "contrast", "brightness", "sharpness", "shear-x", "shear-y"),
        *("translate-x", "translate-y"),
    ]


def test_a_step_in_a_recipe_takes_its_magnitude_alone() -> None:
    made = compose(["crop", {"randaugment": 4}, "normalise"], 16)
    options = made.pipelines[0].items[1].options  # type: ignore[union-attr,index]
    assert options == STEPS["randaugment"].options(magnitude=4)
