"""Mirror images left and right."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Probability


class FlipOptions(Options):
    """Equal to torchvision's RandomHorizontalFlip."""

    p: Probability = Field(0.5, description="probability of mirroring left and right")


class Flip(Transform):
    """Mirrors; behind a crop the renderer does it with the crop's own matrices instead."""

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return x.flip(-1)


def build(options: FlipOptions, domain: Domain) -> Flip:
    """The step of these options."""
    return Flip()


FLIP = Step(
    name="flip",
    summary="mirrored left and right",
    options=FlipOptions,
    bare="p",
    build=build,
    gradient=True,
    fuses="flip",
    place=20,
)
