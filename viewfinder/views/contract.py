"""What a step of a view is: a row of the table of steps, and the module that it builds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from viewfinder.core.table import Row
from viewfinder.data.domain import Domain, Modality

Values = dict[str, Tensor]
"""What was drawn for a step, each tensor with one row per sample."""


class Transform(nn.Module):
    """A step as it was built: first it draws its parameters, then it is applied with them.

    A transform that has parameters of its own is rendered with gradient, any other without.

    overwrites  whether ``forward`` may write to its input; the renderer then passes its own copy
    options     as it was built with, where it was given them
    """

    overwrites: ClassVar[bool] = False

    def __init__(self, options: Any = None, domain: Domain | None = None) -> None:
        super().__init__()
        self.options = options

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """Parameters for n samples of ``domain``, from the generator alone and on its device.

        No two samples share a draw. Whether a step with a probability is applied to a sample is not
        drawn here but by the renderer. By default there is nothing to draw.
        """
        return {}

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        """The samples x, float (N, ...) of its domain, changed by what was drawn for each."""
        raise NotImplementedError

    def gives(self, domain: Domain) -> Domain:
        """The domain of the output for an input of ``domain``; by default the same."""
        return domain

    def inverse(self, x: Tensor) -> Tensor:
        """What ``forward`` was applied to; of the steps that evaluation sees too."""
        raise NotImplementedError(f"{type(self).__name__} has no inverse")


class Cutting(Transform):
    """A transform of a step that fuses "crop": it cuts a box out of each image."""

    def draw(
        self, n: int, domain: Domain, generator: torch.Generator, sides: Tensor | None = None
    ) -> Values:
        """Of it ``boxes`` (n, 4), top, left, height, width in pixels of ``domain``.

        sides  integers (n, 2), height and width of each image before it was made ``domain``; None:
               they are those of ``domain``
        """
        raise NotImplementedError


class Grouped(Transform):
    """A transform that does different things to different groups of samples.

    Where the samples are sorted by group, each of its parts concerns a contiguous slice of them. It
    changes its input in place, and leaves samples that were not selected as they are.
    """

    overwrites = True
    groups: ClassVar[int]

    def plan(self, drawn: Values, selected: Tensor) -> Values:
        """What ``apply_`` needs, one row per sample: of it ``group`` int64 (N,) below ``groups``.

        drawn  as drawn;  selected  bool (N,), the samples to change
        """
        raise NotImplementedError

    def apply_(self, x: Tensor, plan: Values, starts: Sequence[int] | None = None) -> Tensor:
        """Change x in place by a plan, and return it.

        ``starts``: where the samples are sorted by group, the first of each group. Without it every
        part is done to every sample, which needs no knowledge of the values (and so no wait for a
        GPU).
        """
        raise NotImplementedError

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        everything = torch.ones(len(x), dtype=torch.bool, device=x.device)
        return self.apply_(x, self.plan(drawn, everything))


@dataclass(frozen=True)
class Strength:
    """How strong a step is, as one number: a factor of what its options say.

    words   what it scales, for the documentation
    scaled  (options, factor) -> the options that change, by name: 1 changes none, 0 gives a step
            that leaves every sample as it is, and the more the further from it a sample gets
    """

    words: str
    scaled: Callable[[Any, float], dict[str, Any]]


def _chance(options: Any, factor: float) -> dict[str, Any]:
    return {"p": options.p * factor}


BY_CHANCE = Strength("its probability `p`", _chance)
"""Of a step that is applied to a sample or is not."""


def any_channels(options: Any) -> tuple[int, ...]:
    """The fact ``channels`` of a step that takes any number of them."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Step(Row):
    """A kind of step. Where its options have a field ``p``, that is its probability per sample.

    build       (options, domain of its input at the size of the view) -> Transform
    modalities  that it takes
    channels    (options) -> the numbers of channels that it takes; (): any
    remedy      (options) -> what to set where the channels do not fit; None: its probability to 0
    unit        it takes values in [0, 1] alone
    keeps_unit  of values in [0, 1] it gives such values
    mirrors     it commutes with mirroring left and right, so a later flip can be done before it
    frozen      evaluation sees it too: part of what the network takes, not a change by chance
    lossy       of a step that evaluation sees: its inverse gives some inputs back changed
    gradient    it lets the gradient of a later loss through to earlier steps
    fuses       "crop": builds a ``Cutting``, whose boxes are cut out and resized to the view;
                "flip": mirrors. The renderer does both at once, straight from 8 bits
    place       where an override inserts it: before the first step of a higher place
    strength    what a factor of its strength scales; None: it has none, but its probability if any
    prefix      what the short recipe keys of its options begin with; None: its name
    """

    build: Callable[[Any, Domain], Transform]
    modalities: tuple[Modality, ...] = ("images",)
    channels: Callable[[Any], tuple[int, ...]] = any_channels
    remedy: Callable[[Any], str] | None = None
    unit: bool = False
    keeps_unit: bool = True
    mirrors: bool = True
    frozen: bool = False
    lossy: bool = False
    gradient: bool = False
    fuses: Literal["crop", "flip"] | None = None
    place: int = 70
    strength: Strength | None = None
    prefix: str | None = None

    @property
    def scales(self) -> Strength | None:
        """What a factor of its strength scales; None where there is nothing to scale."""
        if self.strength is None and "p" in self.options.model_fields:
            return BY_CHANCE
        return self.strength
