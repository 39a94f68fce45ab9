"""Turn images grey."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Probability

LUMA = (0.2989, 0.587, 0.114)


def luminance(images: Tensor) -> Tensor:
    """The grey value of each pixel (N, H, W): ITU-R 601 weights of RGB, else the channels' mean."""
    if images.shape[1] != 3:
        return images.mean(1)
    red, green, blue = images.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


class GreyOptions(Options):
    """Equal to torchvision's RandomGrayscale."""

    p: Probability = Field(0.2, description="probability of turning grey")


class Grey(Transform):
    """RGB images with every channel replaced by the luminance; one-channel images as they are."""

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return x if x.shape[1] == 1 else luminance(x)[:, None].expand_as(x)


def build(options: GreyOptions, domain: Domain) -> Grey:
    """The step of these options."""
    return Grey()


def channels(options: GreyOptions) -> tuple[int, ...]:
    """Grey or colour."""
    return 1, 3


GREY = Step(
    name="grey",
    summary="every channel becomes the luminance",
    options=GreyOptions,
    bare="p",
    build=build,
    channels=channels,
    gradient=True,
    place=40,
)
