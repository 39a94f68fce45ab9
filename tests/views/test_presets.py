from __future__ import annotations

import pytest
import torch
from viewfinder.views.augment import make_views

from viewfinder.core.errors import UserError
from viewfinder.views.presets import PRESETS, VARIANTS, preset


@pytest.mark.parametrize("size", [4, 32, 64, 96, 224])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_views_of_every_size(name: str, size: int) -> None:
    images = torch.randint(0, 256, (4, 3, 40, 36), dtype=torch.uint8)
    views = make_views(images, preset(name, size), torch.Generator().manual_seed(0))
    assert [v.shape for v in views] == [(4, 3, size, size)] * 2
    assert all(v.isfinite().all() for v in views)


def test_settings_are_those_of_the_papers() -> None:
    a, b = preset("simclr", 32)
    assert a == b
    assert (a.crop_scale, a.jitter, a.jitter_p) == ((0.08, 1.0), (0.4, 0.4, 0.4, 0.1), 0.8)
    assert (a.flip_p, a.grey_p, a.blur_p) == (0.5, 0.2, 0.0)
    a, _ = preset("simclr", 224)
    assert (a.jitter, a.blur_p, a.blur_sigma) == ((0.8, 0.8, 0.8, 0.2), 0.5, (0.1, 2.0))
    assert a.kernel == 23
    a, _ = preset("moco", 224)
    assert (a.crop_scale, a.jitter, a.jitter_p) == ((0.2, 1.0), (0.4, 0.4, 0.4, 0.4), 1.0)
    a, _ = preset("moco2", 224)
    assert (a.crop_scale, a.jitter, a.jitter_p) == ((0.2, 1.0), (0.4, 0.4, 0.4, 0.1), 0.8)
    assert a.blur_p == 0.5
    a, b = preset("byol", 224)
    assert a.jitter == b.jitter == (0.4, 0.4, 0.2, 0.1)
    assert (a.blur_p, b.blur_p, a.solarize_p, b.solarize_p) == (1.0, 0.1, 0.0, 0.2)


@pytest.mark.parametrize("name", PRESETS)
def test_sizes_between_take_the_nearest_variant(name: str) -> None:
    for size, variant in ((8, 32), (40, 32), (56, 64), (84, 96), (128, 96), (160, 224), (512, 224)):
        assert variant in VARIANTS
        for near, exact in zip(preset(name, size), preset(name, variant), strict=True):
            assert near.model_copy(update={"size": variant}) == exact


def test_normalisation_is_a_half_when_small_and_imagenets_when_large() -> None:
    assert preset("simclr", 96)[0].mean == (0.5,)
    assert preset("none", 224)[1].std == (0.229, 0.224, 0.225)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'simclr'"):
        preset("simcrl", 32)
    with pytest.raises(UserError, match="at least 4 px"):
        preset("simclr", 2)
