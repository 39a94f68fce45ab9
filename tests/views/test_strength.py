"""Every step that changes images by chance has a strength: 0 is no effect, and more is more."""

from __future__ import annotations

import itertools

import pytest
import torch
from pictures import pictures, seeded
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.recipes.recipe import build, complete
from viewfinder.views import STEPS, compose, preset
from viewfinder.views.contract import Step
from viewfinder.views.items import Item, strengthened
from viewfinder.views.presets import ROWS

BY_CHANCE = [row for row in STEPS.values() if row.scales is not None]
FIXED = [row for row in STEPS.values() if row.scales is None]
FACTORS = (0.0, 0.25, 0.5, 1.0, 1.25)


def changed(row: Step, factor: float) -> Tensor:
    """What the step alone makes of many samples, at a factor of its strength."""
    if row.modalities == ("points",):
        domain, x = Domain("points", (2,)), torch.rand(200, 2, generator=seeded(1))
    elif row.modalities == ("tokens",):
        domain = Domain("tokens", (40,), words=1000)
        x = torch.randint(1000, (200, 40), generator=seeded(1))
    else:
        domain, x = Domain("images", (3, 24, 24)), pictures(200, 3, 24, 24)
    split = "masked" if row.modalities == ("tokens",) else "draws:1"
    made = compose([row.name], domain=domain, split=split, strength={row.name: factor})
    plain = x / 255 if x.dtype == torch.uint8 else x
    if x.dtype == torch.int64:  # of words only whether they are others counts
        return (made(x, seeded())[0] != plain).float()
    return made(x, seeded())[0] - plain


@pytest.mark.parametrize("row", BY_CHANCE, ids=lambda row: row.name)
def test_at_0_it_is_the_identity_and_its_effect_grows(row: Step) -> None:
    found = [changed(row, factor) for factor in FACTORS]
    assert found[0].abs().max() < 1e-5
    sizes = [float(one.square().mean().sqrt()) for one in found]
    assert all(low < high for low, high in itertools.pairwise(sizes)), sizes


@pytest.mark.parametrize("row", BY_CHANCE, ids=lambda row: row.name)
def test_at_1_it_is_as_written(row: Step) -> None:
    item = Item(row, row.options())
    assert strengthened([item], 1.0) == (item,) == strengthened([item], {row.name: 1})
    assert row.scales is not None and row.scales.words


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_what_the_network_takes_has_none(row: Step) -> None:
    """A number for all steps passes it by; by name it is refused with the reason."""
    item = Item(row, row.options())
    assert row.frozen
    assert strengthened([item], 0.5) == (item,)
    with pytest.raises(UserError, match=f"{row.name} has no strength: it is what the network"):
        strengthened([item], {row.name: 0.5})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_preset_at_0_is_what_evaluation_sees(row: object) -> None:
    images, name = pictures(6, 3, 32, 32), row.name  # type: ignore[attr-defined]
    still = preset(name, 32, strength=0.0)
    first, second = still(images, seeded())
    torch.testing.assert_close(first, still.frozen(images)["main"], atol=1e-5, rtol=0)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=0)


def test_a_recipe_says_the_strength_of_all_steps_or_of_one() -> None:
    def options(**views: object) -> dict[str, object]:
        recipe = complete(
            build("simclr", {"views": {"crop_scale": [0.25, 1], **views}}), (3, 32, 32)
        )
        (steps, _) = recipe.views.specs(recipe.domain)
        assert complete(build(None, recipe.plain()), (3, 32, 32)).plain() == recipe.plain()
        return {item.step.name: item.options.model_dump() for item in steps.items}

    plain, half = options(), options(strength=0.5)
    assert plain["crop"]["scale"] == (0.25, 1.0)  # type: ignore[index]
    assert half["crop"]["scale"] == (0.5, 1.0)  # type: ignore[index]
    assert half["flip"]["p"] == 0.25  # type: ignore[index]
    assert half["jitter"]["strength"] == (0.2, 0.2, 0.2, 0.05)  # type: ignore[index]
    assert half["normalise"] == plain["normalise"]
    one = options(strength={"jitter": 2})
    assert one["jitter"]["strength"] == (0.8, 0.8, 0.8, 0.2)  # type: ignore[index]
    assert {k: v for k, v in one.items() if k != "jitter"} == {
        k: v for k, v in plain.items() if k != "jitter"
    }
    assert "strength" not in build("simclr").plain()["views"]
    assert options(first={"strength": 0.5})["flip"]["p"] == 0.25  # type: ignore[index]


@pytest.mark.parametrize(
    ("strength", "told"),
    [
        (-1, "views.strength"),
        ("strong", "views.strength"),
        ({"jiter": 1}, "Did you mean 'jitter'"),
        ({"solarize": 1}, "no step 'solarize' that is applied"),
        ({"jitter": 9}, "at 9 times its strength the step jitter would have strength="),
        ({"flip": 3}, "at 3 times its strength the step flip would have p=1.5"),
        ({"normalise": 1}, "normalise has no strength"),
    ],
)
def test_a_strength_that_cannot_be_is_refused(strength: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        complete(build("simclr", {"views": {"strength": strength}}), (3, 32, 32))
