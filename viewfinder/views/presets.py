"""The augmentations of the methods' papers: one pair (first view, second view) a name and size.

Papers give settings for ImageNet (224 px) and some for CIFAR-10 (32 px) and STL-10 (64 and 96 px).
Sizes between take the nearest of these variants. What differs from the sources is said at each
preset; one difference is common to all: the order of operations is always crop, flip, jitter, grey,
blur, solarise, and colours are computed in floats, where the papers' code rounds to 8 bits after
each operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from viewfinder.core.errors import UserError, unknown
from viewfinder.views.augment import Augmentation

Settings = dict[str, Any]

VARIANTS = (32, 64, 96, 224)
IMAGENET: Settings = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SMALL_JITTER, FULL_JITTER = (0.4, 0.4, 0.4, 0.1), (0.8, 0.8, 0.8, 0.2)


def preset(name: str, size: int) -> tuple[Augmentation, Augmentation]:
    """The pair of augmentations called ``name`` (a key of PRESETS) for views of ``size`` px.

    Images are normalised with mean and standard deviation 1/2 up to 96 px, and with ImageNet's at
    the 224 px variant.

    Raises UserError for an unknown name or a size below 4.

    >>> first, second = preset("byol", 224)
    >>> first.blur_p, second.blur_p
    (1.0, 0.1)
    """
    if name not in PRESETS:
        raise unknown("preset of views", name, PRESETS)
    if size < 4:
        raise UserError(f"views.size is {size}; at least 4 px are expected", fix="views.size=32")
    variant = min(VARIANTS, key=lambda v: abs(math.log(size / v)))
    statistics: Settings = IMAGENET if variant == 224 else {}
    first, second = PRESETS[name](variant)
    return (
        Augmentation(size=size, **statistics, **first),
        Augmentation(size=size, **statistics, **second),
    )


def _crop(low: float) -> Settings:
    return {"crop_scale": (low, 1.0), "crop_ratio": (3 / 4, 4 / 3), "flip_p": 0.5}


def simclr(variant: int) -> tuple[Settings, Settings]:
    """SimCLR, Chen et al. 2020, appendix A; at 32 px its appendix B.9 (CIFAR-10).

    224 and 96 px: crop 8-100 %, jitter of strength 1, grey, blur in half of the views. 32 px:
    jitter of strength 1/2, no blur. 64 px: jitter of strength 1, no blur, as published for STL-10
    at 64 px by Wang et al., "Rethinking minimal sufficient representation", 2022 (who also use
    strength 1 at 32 px).
    """
    view = {
        **_crop(0.08),
        "jitter": SMALL_JITTER if variant == 32 else FULL_JITTER,
        "jitter_p": 0.8,
        "grey_p": 0.2,
        "blur_p": 0.5 if variant >= 96 else 0.0,
    }
    return view, view


def moco(variant: int) -> tuple[Settings, Settings]:
    """MoCo, He et al. 2020, section 3.3 and its code: crop 20-100 %, jitter always, grey.

    One setting for every size. Its code turns images grey before the jitter, here it is after.
    """
    view = {**_crop(0.2), "jitter": (0.4, 0.4, 0.4, 0.4), "jitter_p": 1.0, "grey_p": 0.2}
    return view, view


def moco2(variant: int) -> tuple[Settings, Settings]:
    """MoCo v2, Chen et al. 2020, and its code: MoCo's crop, a milder jitter, blur.

    32 px: no blur, as in the authors' CIFAR-10 demonstration (whose crop is 8-100 %).
    """
    view = {
        **_crop(0.2),
        "jitter": SMALL_JITTER,
        "jitter_p": 0.8,
        "grey_p": 0.2,
        "blur_p": 0.0 if variant == 32 else 0.5,
    }
    return view, view


def byol(variant: int) -> tuple[Settings, Settings]:
    """BYOL, Grill et al. 2020, appendix B, table 6: views that differ in blur and solarisation.

    32 px: no blur in either view, as SimCLR has none there; 8-bit threshold 128 as 0.5.
    """
    view = {**_crop(0.08), "jitter": (0.4, 0.4, 0.2, 0.1), "jitter_p": 0.8, "grey_p": 0.2}
    blur = (0.0, 0.0) if variant == 32 else (1.0, 0.1)
    return (
        {**view, "blur_p": blur[0], "solarize_p": 0.0},
        {**view, "blur_p": blur[1], "solarize_p": 0.2},
    )


def supervised(variant: int) -> tuple[Settings, Settings]:
    """Crop and flip only. 224 px: crop 8-100 %, ImageNet's usual; below: 50-100 %, our choice,
    in place of the usual shift by up to 4 pixels, so that it does not depend on the size."""
    view = _crop(0.08 if variant == 224 else 0.5)
    return view, view


def none(variant: int) -> tuple[Settings, Settings]:
    """The centre square, resized and normalised: no chance at all."""
    return {}, {}


PRESETS: dict[str, Callable[[int], tuple[Settings, Settings]]] = {
    "simclr": simclr,
    "moco": moco,
    "moco2": moco2,
    "byol": byol,
    "supervised": supervised,
    "none": none,
}
