from __future__ import annotations

from typing import Any

import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.views import PRESETS, preset
from viewfinder.views.compose import preset_items
from viewfinder.views.presets import VARIANTS


def options(name: str, size: int) -> list[dict[str, Any]]:
    return [{item.step.name: item.options for item in view} for view in preset_items(name, size)]


@pytest.mark.parametrize("size", [4, 32, 64, 96, 224])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_views_of_every_size(name: str, size: int) -> None:
    for channels in (1, 3):
        images = torch.randint(0, 256, (4, channels, 40, 36), dtype=torch.uint8)
        maker = preset(name, size, channels=channels)
        views = maker(images, torch.Generator().manual_seed(0))
        assert [v.shape for v in views] == [(4, channels, size, size)] * 2
        assert all(v.isfinite().all() for v in views)


def test_settings_are_those_of_the_papers() -> None:
    a, b = options("simclr", 32)
    assert a == b
    assert (a["crop"].scale, a["crop"].ratio) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert (a["jitter"].strength, a["jitter"].p) == ((0.4, 0.4, 0.4, 0.1), 0.8)
    assert (a["flip"].p, a["grey"].p, a["blur"].p) == (0.5, 0.2, 0.0)
    a, _ = options("simclr", 224)
    assert (a["jitter"].strength, a["blur"].p) == ((0.8, 0.8, 0.8, 0.2), 0.5)
    assert (a["blur"].sigma, a["blur"].kernel) == ((0.1, 2.0), None)
    a, _ = options("moco", 224)
    assert a["crop"].scale == (0.2, 1.0)
    assert (a["jitter"].strength, a["jitter"].p) == ((0.4, 0.4, 0.4, 0.4), 1.0)
    a, _ = options("moco2", 224)
    assert (a["crop"].scale, a["blur"].p) == ((0.2, 1.0), 0.5)
    assert (a["jitter"].strength, a["jitter"].p) == ((0.4, 0.4, 0.4, 0.1), 0.8)
    a, b = options("byol", 224)
    assert a["jitter"].strength == b["jitter"].strength == (0.4, 0.4, 0.2, 0.1)
    assert (a["blur"].p, b["blur"].p) == (1.0, 0.1)
    assert (a["solarize"].p, b["solarize"].p) == (0.0, 0.2)


def test_steps_are_in_the_order_of_the_papers_code() -> None:
    for name, order in (
        ("simclr", "crop flip jitter grey blur normalise"),  # its appendix A
        ("moco", "crop grey jitter flip normalise"),  # main_moco.py without --aug-plus
        ("moco2", "crop jitter grey blur flip normalise"),  # main_moco.py with --aug-plus
        ("byol", "crop flip jitter grey blur solarize normalise"),  # its appendix B
    ):
        found = [item.step.name for item in preset_items(name, 224)[1] if not item.idle]
        assert found == order.split(), name


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_between_take_the_nearest_variant(name: str) -> None:
    for size, variant in ((8, 32), (40, 32), (56, 64), (84, 96), (128, 96), (160, 224), (512, 224)):
        assert variant in VARIANTS
        assert preset_items(name, size) == preset_items(name, variant)


def test_normalisation_is_a_half_when_small_and_imagenets_when_large() -> None:
    assert options("simclr", 96)[0]["normalise"].mean == (0.5,)
    assert options("none", 224)[1]["normalise"].std == (0.229, 0.224, 0.225)


def test_the_preset_none_changes_nothing() -> None:
    images = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    maker = preset("none", 32)
    first, second = maker(images)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, maker.frozen(images)["main"], atol=2e-6, rtol=0)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'simclr'"):
        preset("simcrl", 32)
    with pytest.raises(UserError, match="at least 4 px"):
        preset("simclr", 2)
