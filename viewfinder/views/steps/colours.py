"""Colour spaces as steps: one row for each space of the table."""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.colours.spaces import SPACES
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Deviations, Means
from viewfinder.views.steps.normalise import Normalise, check_statistics


class ColourOptions(Options):
    """What the channels of a colour space are standardised with; the defaults are the space's."""

    mean: Means
    std: Deviations

    def __reduce__(self) -> Any:
        """The class of a space's options is no name of this module: it is looked up."""
        return _restored, (type(self).__name__, self.model_dump())


def _restored(name: str, values: dict[str, Any]) -> ColourOptions:
    return OPTIONS[name](**values)


OPTIONS: dict[str, type[ColourOptions]] = {
    name: create_model(
        name,
        __base__=ColourOptions,
        mean=(Means, Field(space.mean, description=f"subtracted from {space.channels}")),
        std=(Deviations, Field(space.std, description=f"{space.channels} are divided by it")),
    )
    for name, space in SPACES.items()
}
"""The options of each space, by its name."""


class Colour(Transform):
    """A colour space of RGB images, each channel standardised, so no normalisation need follow."""

    def __init__(self, options: ColourOptions, domain: Domain) -> None:
        super().__init__(options, domain)
        self.space = type(options).__name__
        check_statistics(options.mean, options.std, 3, f"{self.space}_")
        self.standardise = Normalise(options.mean, options.std)

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return self.standardise(SPACES[self.space].of_rgb(x), drawn)

    def inverse(self, x: Tensor) -> Tensor:
        """RGB in [0, 1]."""
        return SPACES[self.space].to_rgb(self.standardise.inverse(x))


def three_channels(options: ColourOptions) -> tuple[int, ...]:
    """Colour."""
    return (3,)


COLOURS = tuple(
    Step(
        name=name,
        summary=f"from sRGB to {space.title}, standardised; what evaluation sees too",
        paper="Tian et al. 2020 (CMC)",
        options=OPTIONS[name],
        build=Colour,
        channels=three_channels,
        unit=True,
        keeps_unit=False,
        frozen=True,
        lossy=space.lossy,
        gradient=True,
        place=80,
    )
    for name, space in SPACES.items()
)
