"""Views of points: noise added to each coordinate."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Weight
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Strength, Transform, Values


def uniform_noise(points: Tensor, eta: float, generator: torch.Generator) -> Tensor:
    """A view of each point: x + e with e ~ U(0, eta), drawn for every coordinate by itself.

    One-sided, as Wu et al. 2020 (section 4.3) write it: the view of x lies in the square of side
    eta of which x is the lower left corner. With eta = 0 the view is x itself.

    points float (N, D) -> (N, D), same type and device. Raises ValueError for eta < 0.
    """
    if eta < 0:
        raise ValueError(f"eta must not be negative, not {eta}")
    noise = torch.rand(points.shape, dtype=points.dtype, device=points.device, generator=generator)
    return points + eta * noise


class NoiseOptions(Options):
    """How far a view may be from its point."""

    eta: Weight = Field(0.1, description="noise of each coordinate is uniform in [0, eta)")


class Noise(Transform):
    """x + e, e ~ U(0, eta) of every coordinate."""

    def __init__(self, eta: float) -> None:
        super().__init__()
        self.eta = eta

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """``noise`` (n, D) in [0, 1)."""
        return {"noise": torch.rand(n, *domain.shape, device=generator.device, generator=generator)}

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return x + self.eta * drawn["noise"]


def build(options: NoiseOptions, domain: Domain) -> Noise:
    """The step of these options."""
    return Noise(options.eta)


def scaled(options: NoiseOptions, factor: float) -> dict[str, Any]:
    """The side of the square by the factor."""
    return {"eta": options.eta * factor}


NOISE = Step(
    name="noise",
    summary="one-sided uniform noise on the coordinates of points",
    paper="Wu et al. 2020, section 4.3",
    options=NoiseOptions,
    bare="eta",
    build=build,
    modalities=("points",),
    gradient=True,
    keeps_unit=False,
    strength=Strength("`eta`", scaled),
)
