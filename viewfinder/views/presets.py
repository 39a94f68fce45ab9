"""The lists of steps of the methods' papers: one pair (first view, second view) per name and size.

Papers give settings for ImageNet (224 px) and some for CIFAR-10 (32 px) and STL-10 (64 and 96 px).
Sizes between take the nearest of these variants. The order is that of the papers' code; what else
differs from the sources is said at each preset. Common to all: colours are computed in floats,
where the papers' code rounds to 8 bits after each operation.

Steps that a variant leaves out stand in the list with a probability of 0, so that an override finds
them in their place, and the draws of the others do not depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from viewfinder.core.errors import OptionError
from viewfinder.core.table import Row

VARIANTS = (32, 64, 96, 224)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
SMALL_JITTER, FULL_JITTER = (0.4, 0.4, 0.4, 0.1), (0.8, 0.8, 0.8, 0.2)

Words = list[Any]


@dataclass(frozen=True, kw_only=True)
class Preset(Row):
    """A named pair of lists of steps.

    steps  (px of the nearest variant) -> the lists of the first and the second view, as a recipe
           writes them, except for the normalisation that all presets share
    chance  whether its views are drawn; where not, choosing it leaves out a method's small crops
    """

    steps: Callable[[int], tuple[Words, Words]]
    chance: bool = True


def nearest_variant(size: int) -> int:
    """The size the settings are taken of: the nearest of VARIANTS by ratio.

    Raises OptionError for a size below 4.
    """
    if size < 4:
        raise OptionError(f"@size is {size}; at least 4 px are expected", fix="@size=32")
    return min(VARIANTS, key=lambda v: abs(math.log(size / v)))


def normalisation(variant: int, channels: int) -> Words:
    """Mean and standard deviation 1/2 up to 96 px, and ImageNet's at 224 px: of each colour, or
    their mean where images have another number of channels than three."""
    if variant != 224:
        return ["normalise"]
    mean, std = MEAN, STD
    if channels != 3:
        mean, std = (sum(mean) / 3,), (sum(std) / 3,)  # type: ignore[assignment]
    return [{"normalise": {"mean": mean, "std": std}}]


def simclr(variant: int) -> tuple[Words, Words]:
    """SimCLR's appendix A; at 32 px its appendix B.9 (CIFAR-10).

    224 and 96 px: crop 8-100 %, jitter of strength 1, grey, blur in half of the views. 32 px:
    jitter of strength 1/2, no blur. 64 px: jitter of strength 1, no blur, as published for STL-10
    at 64 px by Wang et al., "Rethinking minimal sufficient representation", 2022 (who also use
    strength 1 at 32 px).
    """
    strength = SMALL_JITTER if variant == 32 else FULL_JITTER
    view = [
        {"crop": (0.08, 1.0)},
        {"flip": 0.5},
        {"jitter": {"strength": strength, "p": 0.8}},
        {"grey": 0.2},
        {"blur": 0.5 if variant >= 96 else 0.0},
        {"solarize": 0.0},
    ]
    return view, view


def moco(variant: int) -> tuple[Words, Words]:
    """MoCo's section 3.3 and its code: crop 20-100 %, grey, then always jitter.

    One setting for every size.
    """
    jitter = {"strength": (0.4, 0.4, 0.4, 0.4), "p": 1.0}
    view = [{"crop": (0.2, 1.0)}, {"grey": 0.2}, {"jitter": jitter}, {"flip": 0.5}]
    return view, view


def moco2(variant: int) -> tuple[Words, Words]:
    """MoCo v2 and its code: MoCo's crop, a milder jitter, blur.

    32 px: no blur, as in the authors' CIFAR-10 demonstration (whose crop is 8-100 %).
    """
    view = [
        {"crop": (0.2, 1.0)},
        {"jitter": {"strength": SMALL_JITTER, "p": 0.8}},
        {"grey": 0.2},
        {"blur": 0.0 if variant == 32 else 0.5},
        {"flip": 0.5},
    ]
    return view, view


def byol(variant: int) -> tuple[Words, Words]:
    """BYOL's appendix B, table 6: views that differ in blur and solarisation.

    32 px: no blur in either view, as SimCLR has none there; 8-bit threshold 128 as 0.5.
    """

    def view(blur: float, solarize: float) -> Words:
        return [
            {"crop": (0.08, 1.0)},
            {"flip": 0.5},
            {"jitter": {"strength": (0.4, 0.4, 0.2, 0.1), "p": 0.8}},
            {"grey": 0.2},
            {"blur": 0.0 if variant == 32 else blur},
            {"solarize": solarize},
        ]

    return view(1.0, 0.0), view(0.1, 0.2)


def infomin(variant: int) -> tuple[Words, Words]:
    """InfoMin Aug of the released code: MoCo v2's crop, SimCLR's jitter, blur, RandAugment, grey.

    32 px: no blur, as the others have none there.
    """
    view = [
        {"crop": (0.2, 1.0)},
        {"flip": 0.5},
        {"jitter": {"strength": FULL_JITTER, "p": 0.8}},
        {"blur": 0.0 if variant == 32 else 0.5},
        {"randaugment": 10.0},
        {"grey": 0.2},
    ]
    return view, view


def supervised(variant: int) -> tuple[Words, Words]:
    """Crop and flip only. 224 px: crop 8-100 %, ImageNet's usual; below: 50-100 %, our choice,
    in place of the usual shift by up to 4 pixels, so that it does not depend on the size."""
    view = [{"crop": (0.08 if variant == 224 else 0.5, 1.0)}, {"flip": 0.5}, *_unused()]
    return view, view


def none(variant: int) -> tuple[Words, Words]:
    """What evaluation sees, normalised: no chance at all."""
    view = [{"flip": 0.0}, *_unused()]
    return view, view


def _unused() -> Words:
    """Changes of colour that are not made."""
    return [{"jitter": {"p": 0.0}}, {"grey": 0.0}, {"blur": 0.0}, {"solarize": 0.0}]


ROWS = (
    Preset(
        name="simclr", summary="crop, jitter, grey, blur", paper="Chen et al. 2020", steps=simclr
    ),
    Preset(name="moco", summary="crop, grey before jitter", paper="He et al. 2020", steps=moco),
    Preset(name="moco2", summary="crop, jitter, grey, blur", paper="Chen et al. 2020", steps=moco2),
    Preset(name="byol", summary="the views differ", paper="Grill et al. 2020", steps=byol),
    Preset(
        name="infomin",
        summary="crop, jitter, blur, RandAugment, grey",
        paper="Tian et al. 2020 (InfoMin)",
        steps=infomin,
    ),
    Preset(name="supervised", summary="crop and flip", steps=supervised),
    Preset(name="none", summary="what evaluation sees, no chance", steps=none, chance=False),
)
