"""RandAugment: a few operations out of a table, drawn for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Strength, Transform, Values
from viewfinder.views.operations import tone
from viewfinder.views.operations.warp import moved, rotation, warp
from viewfinder.views.options import Probability

MOST = 10.0
"""The largest level."""
FILL = (0.485, 0.456, 0.406)
"""What comes from outside of the image: ImageNet's mean."""

Drawn = dict[str, Tensor]
"""Of the images of one operation: level (N,) in [0, 10], sign (N,) of -1 or 1, cubic bool (N,)."""
Operation = Callable[[Tensor, Drawn], Tensor]


def _share(drawn: Drawn) -> Tensor:
    return drawn["level"] / MOST


def _factor(drawn: Drawn) -> Tensor:
    """Of an enhancement: from 0.1 to 1.9, which at the middle leaves the image as it is."""
    return 0.1 + 1.8 * _share(drawn)


def _warped(x: Tensor, matrix: Tensor, drawn: Drawn) -> Tensor:
    channels = x.shape[1]
    fill = x.new_tensor(FILL if channels == 3 else [sum(FILL) / 3] * channels)
    return warp(x, matrix, drawn["cubic"], fill).clamp(0, 1)


def _rotate(x: Tensor, drawn: Drawn) -> Tensor:
    return _warped(x, rotation(30 * _share(drawn) * drawn["sign"], *x.shape[-2:]), drawn)


def _affine(entry: str, most: Callable[[Tensor], float]) -> Operation:
    """A map that differs from the identity in one entry, at most by so much."""

    def operation(x: Tensor, drawn: Drawn) -> Tensor:
        value = most(x) * _share(drawn) * drawn["sign"]
        return _warped(x, moved(value, **{entry: value}), drawn)

    return operation


OPERATIONS: dict[str, Operation] = {
    "auto-contrast": lambda x, drawn: tone.autocontrast(x),
    "equalize": lambda x, drawn: tone.equalize(x),
    "invert": lambda x, drawn: tone.invert(x),
    "rotate": _rotate,
    "posterize": lambda x, drawn: tone.posterize(x, (4 * _share(drawn)).floor()),
    "solarize": lambda x, drawn: tone.solarize(x, (256 * _share(drawn)).floor() / 255),
    "solarize-add": lambda x, drawn: tone.solarize_add(x, (110 * _share(drawn)).floor() / 255),
    "colour": lambda x, drawn: tone.saturation(x, _factor(drawn)),
    "contrast": lambda x, drawn: tone.contrast(x, _factor(drawn)),
    "brightness": lambda x, drawn: tone.brightness(x, _factor(drawn)),
    "sharpness": lambda x, drawn: tone.sharpness(x, _factor(drawn)),
    "shear-x": _affine("xy", lambda x: 0.3),
    "shear-y": _affine("yx", lambda x: 0.3),
    "translate-x": _affine("x", lambda x: 0.45 * x.shape[3]),
    "translate-y": _affine("y", lambda x: 0.45 * x.shape[2]),
}
"""The operations of InfoMin's released code, with its range for the levels from 0 to 10."""


class RandAugmentOptions(Options):
    """How many operations there are, and how strong they are."""

    magnitude: float = Field(10.0, ge=0, le=MOST, description="mean level of the operations, 0..10")
    n: int = Field(2, ge=1, le=15, description="operations drawn for each image, with replacement")
    noise: float = Field(0.5, ge=0, le=MOST, description="standard deviation of the level")
    chance: Probability = Field(0.5, description="probability that a drawn operation is applied")


class RandAugment(Transform):
    """``n`` of the operations one after the other, each with a level of its own and by chance.

    A level is normal around ``magnitude``, cut to [0, 10]; a sign and the interpolation (bilinear
    or bicubic) are drawn for those that have one. On a GPU the number of images of each operation
    is waited for, once for each of the ``n``.
    """

    options: RandAugmentOptions

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """``operation`` int64, ``level``, ``sign``, ``cubic`` and ``applied``, (n, operations)."""
        o, device = self.options, generator.device
        shape = n, o.n
        level = torch.randn(shape, generator=generator, device=device) * o.noise + o.magnitude
        chosen, sign, cubic, applied = torch.rand(4, *shape, generator=generator, device=device)
        return {
            "operation": (chosen * len(OPERATIONS)).long().clamp(max=len(OPERATIONS) - 1),
            "level": level.clamp(0, MOST),
            "sign": torch.where(sign < 0.5, -1.0, 1.0),
            "cubic": cubic < 0.5,
            "applied": applied < o.chance,
        }

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        operations = list(OPERATIONS.values())
        for k in range(self.options.n):
            of_layer = {name: value[:, k] for name, value in drawn.items()}
            idle = len(operations)
            number = of_layer["operation"].masked_fill(~of_layer["applied"], idle)
            order = number.argsort(stable=True)
            counts = number.bincount(minlength=idle + 1).tolist()
            made = list(x[order].split(counts))
            groups = order.split(counts)
            for i, operation in enumerate(operations):
                if counts[i]:
                    own = {name: value[groups[i]] for name, value in of_layer.items()}
                    made[i] = operation(made[i], own)
            x = torch.cat(made)[order.argsort()]
        return x


def scaled(options: RandAugmentOptions, factor: float) -> dict[str, Any]:
    """The chance of each operation: at level 0 an enhancement has factor 0.1 and `invert` inverts,
    so the level is no strength that could go to nothing."""
    return {"chance": options.chance * factor}


RANDAUGMENT = Step(
    name="randaugment",
    summary="operations out of a table of fifteen, drawn for each image",
    paper="Cubuk et al. 2019; Tian et al. 2020 (InfoMin)",
    options=RandAugmentOptions,
    bare="magnitude",
    build=RandAugment,
    unit=True,
    mirrors=False,
    place=55,
    strength=Strength("`chance`, of each operation", scaled),
)
