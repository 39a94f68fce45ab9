"""Subtract a mean and divide by a standard deviation, the last step of most lists."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Deviations, Means


def normalize_(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``(x - mean) / std`` in place; mean and std have one value, or one for each channel."""
    channels = images.shape[1]
    if len(set(mean)) == len(set(std)) == 1:
        return images.sub_(mean[0]).mul_(1 / std[0])
    means, stds = (list(v) * (channels if len(v) == 1 else 1) for v in (mean, std))
    for channel, (m, s) in enumerate(zip(means, stds, strict=True)):
        images[:, channel].sub_(m).mul_(1 / s)
    return images


def check_statistics(
    mean: Sequence[float], std: Sequence[float], channels: int, prefix: str = ""
) -> None:
    """Raise OptionError where mean or std have neither one value nor one for each channel."""
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise OptionError(
                f"@{prefix}{name} has {len(values)} values, the images have {channels} "
                f"channels; one value or {channels} are expected",
                fix=f"@{prefix}{name}=[{values[0]:g}]",
            )


class NormaliseOptions(Options):
    """Equal to torchvision's Normalize."""

    mean: Means = Field((0.5,), description="subtracted; one value, or one for each channel")
    std: Deviations = Field((0.5,), description="divided by; one value, or one for each channel")


class Normalise(Transform):
    """(x - mean) / std."""

    overwrites = True

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return normalize_(x, self.mean, self.std)

    def inverse(self, x: Tensor) -> Tensor:
        """mean + std * x."""
        mean, std = (x.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return x * std + mean


def build(options: NormaliseOptions, domain: Domain) -> Normalise:
    """The step of these options; raises UserError where they do not fit the channels."""
    check_statistics(options.mean, options.std, domain.channels)
    return Normalise(options.mean, options.std)


NORMALISE = Step(
    name="normalise",
    summary="(x - mean) / std, what evaluation sees too",
    options=NormaliseOptions,
    build=build,
    unit=True,
    keeps_unit=False,
    frozen=True,
    gradient=True,
    place=90,
    prefix="",
)
