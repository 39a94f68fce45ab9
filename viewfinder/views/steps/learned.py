"""Views from a trained generator: the learned colour space as a step, frozen."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.learned_space import channels_of, load


class LearnedOptions(Options):
    """Which generator."""

    file: str | None = Field(
        None,
        description="generator.safetensors of viewfinder learn-views; a run copies it",
    )


class Learned(Transform):
    """The learned space of a file; its channels are standardised, so no normalisation follows."""

    def __init__(self, options: LearnedOptions, domain: Domain) -> None:
        super().__init__(options, domain)
        if options.file is None:
            raise UserError(
                "views: the step learned is given no file of a generator",
                fix="{learned: generator.safetensors}, which viewfinder learn-views writes",
            )
        self.space = load(options.file)

    def train(self, mode: bool = True) -> Learned:
        """It stays frozen: its deviations are those of its own training."""
        return super().train(False)

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return self.space(x)

    def inverse(self, x: Tensor) -> Tensor:
        """The image in [0, 1]."""
        return self.space.inverse(x)


def channels(options: LearnedOptions) -> tuple[int, ...]:
    """Those of the images that the generator was trained on; 3 where none is named."""
    return (3,) if options.file is None else (channels_of(options.file),)


def remedy(options: LearnedOptions) -> str:
    """What to set where the images have other channels."""
    return f"data.channels={channels(options)[0]}, or a generator that was trained on such images"


LEARNED = Step(
    name="learned",
    summary="to the channels of a generator that was trained, frozen; what evaluation sees too",
    paper="Tian et al. 2020 (InfoMin), section 4.2",
    options=LearnedOptions,
    bare="file",
    paths=("file",),
    build=Learned,
    channels=channels,
    remedy=remedy,
    unit=True,
    keeps_unit=False,
    frozen=True,
    gradient=True,
    place=80,
)
