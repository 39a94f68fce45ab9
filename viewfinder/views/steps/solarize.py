"""Invert the bright values of images."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Probability


class SolarizeOptions(Options):
    """Equal to torchvision's RandomSolarize."""

    p: Probability = Field(0.2, description="probability of solarising")
    threshold: Probability = Field(
        0.5, description="values from here on are inverted; 0..1 (128 of 255 is 0.5)"
    )


class Solarize(Transform):
    """x -> 1 - x of the values at or above the threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return torch.where(x >= self.threshold, 1 - x, x)


def build(options: SolarizeOptions, domain: Domain) -> Solarize:
    """The step of these options."""
    return Solarize(options.threshold)


SOLARIZE = Step(
    name="solarize",
    summary="bright values are inverted",
    paper="Grill et al. 2020, appendix B",
    options=SolarizeOptions,
    bare="p",
    build=build,
    unit=True,
    gradient=True,
    place=60,
)
