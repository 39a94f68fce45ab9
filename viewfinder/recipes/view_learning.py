"""What a training of views is, as typed data: ``viewfinder learn-views``.

InfoMin (Tian et al. 2020, sections 4.2 and appendix B.5): a generator makes of each image a first
channel and others, the two views, so that they share little (equation 2), and of what they share
what the labels say (equation 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from viewfinder.core import plugins
from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count, Divisor, Pixels, Weight
from viewfinder.core.table import Row, Table
from viewfinder.core.validation import readable
from viewfinder.data.domain import Domain
from viewfinder.recipes.parts import Encoder, Part
from viewfinder.recipes.recipe import check_options, keys_of, merge, named_plugins, read
from viewfinder.recipes.training import Training
from viewfinder.views.colours.spaces import SPACES
from viewfinder.views.compose import compose, items
from viewfinder.views.frozen import KEPT
from viewfinder.views.generator import Kind
from viewfinder.views.learned_space import Shape
from viewfinder.views.maker import ViewMaker


@dataclass(frozen=True, kw_only=True)
class Goal(Row):
    """What a generator is trained for.

    hides   it lowers the information that two networks find between its views
    labels  it lets two networks tell the labels, each from one view
    only    images without a label are left out
    rates   the reading of the learning rates that the paper has for it: see ``RATES``
    """

    hides: bool
    labels: bool
    only: bool = False
    rates: str = "equal"


GOALS: Table[Goal] = Table(
    "way to learn views",
    (
        Goal(
            name="unsupervised",
            summary="views that share little: a game against the bound on their information",
            paper="Tian et al. 2020 (InfoMin), equation 2",
            hides=True,
            labels=False,
            rates="text",
        ),
        Goal(
            name="semi-supervised",
            summary="views that share little except what some labels say",
            paper="Tian et al. 2020 (InfoMin), equation 3",
            hides=True,
            labels=True,
        ),
        Goal(
            name="supervised",
            summary="views that tell the labels, of labelled images alone",
            paper="Tian et al. 2020 (InfoMin), table 5",
            hides=False,
            labels=True,
            only=True,
        ),
    ),
)

RATES: Mapping[str, tuple[float, float]] = {
    "text": (6e-4, 2e-4),
    "numbers": (2e-4, 6e-4),
    "equal": (6e-4, 6e-4),
}
"""Learning rates of the generator and of the networks. Appendix B.5 says that the generator's
should be larger, and gives "2e-4 and 6e-4, respectively": one of the two is swapped. Equal ones are
those of semi-supervised learning, where it does not say which."""

Rate = Annotated[float, Field(ge=1e-12, le=1_000)]


class GeneratorPart(Part):
    """The invertible generator: a function of the channels of each pixel."""

    bare: ClassVar[str] = "kind"
    kind: Kind = Field("nvp", description="vp: volume-preserving; nvp: not")
    space: str = Field("rgb", description=f"what it starts from: one of {', '.join(SPACES)}")
    blocks: int = Field(6, ge=1, le=1_000, description="each keeps the next channel in turn")
    units: int = Field(8, ge=1, le=10_000, description="hidden units of a block")
    lr: Rate | None = Field(None, description="learning rate of Adam; null: as rates says")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.space not in SPACES:
            raise UserError(
                f"generator.space is {self.space!r}; known: {', '.join(SPACES)}",
                fix="generator.space=ydbdr",
            )
        return self


class Networks(Part):
    """The networks of the two views: of each one to bound what the views share, and where there are
    labels one to classify. Each has the encoder of the recipe."""

    bare: ClassVar[str] = "lr"
    lr: Rate | None = Field(None, description="learning rate of Adam; null: as rates says")
    projector: list[Count] = Field(
        [512, 128], min_length=1, max_length=100, description="units of each projector layer"
    )
    temperature: Divisor = Field(0.1, description="temperature of InfoNCE")


class ViewLearning(Training):
    """A training of views."""

    made_by: ClassVar[tuple[str, ...]] = (
        *("method", "seed", "labelled", "size", "generator", "networks", "encoder"),
    )
    method: str = Field("semi-supervised", description=f"one of {', '.join(GOALS)}")
    labelled: Annotated[int, Field(ge=1, le=10**9)] | Annotated[float, Field(gt=0, lt=1)] | None = (
        Field(None, description="use the labels of so many images, or of this share; null: of all")
    )
    label_weight: Weight = Field(
        1.0, description="weight of the classifiers' losses in equation 3, beside the information"
    )
    size: Pixels | None = Field(
        None, description="side of the views, px; null: the images', at most 224"
    )
    steps: list[Any] = Field(
        [{"crop": [0.2, 1.0]}, "flip"], description="steps before the colour space, as in views"
    )
    rates: Literal["text", "numbers", "equal"] | None = Field(
        None,
        description="learning rates: text: the generator's larger (6e-4, 2e-4), as the paper says; "
        "numbers: 2e-4, 6e-4, as it prints; equal: both 6e-4; null: text if unsupervised, else "
        "equal",
    )
    generator: GeneratorPart = GeneratorPart()
    networks: Networks = Networks()
    encoder: SerializeAsAny[Encoder] = Encoder()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        GOALS.find(self.method)
        try:
            items(self.steps)
        except UserError as error:
            raise UserError(f"steps: {error.message}", fix=error.fix) from error
        return self

    @property
    def goal(self) -> Goal:
        """The row of the method."""
        return GOALS[self.method]

    @property
    def learning_rates(self) -> tuple[float, float]:
        """Of the generator and of the networks."""
        generator, networks = RATES[self.rates or self.goal.rates]
        return self.generator.lr or generator, self.networks.lr or networks

    @property
    def shape(self) -> Shape:
        """What the learned space is built by; the recipe is complete."""
        part = self.generator
        assert self.data.channels is not None  # completed
        return Shape(
            channels=self.data.channels,
            space=part.space,
            kind=part.kind,
            blocks=part.blocks,
            units=part.units,
        )

    def domains(self) -> tuple[Domain, Domain]:
        """Of the first view, a channel, and of the second, the others; the recipe is complete."""
        assert self.data.channels is not None and self.size is not None
        return (
            Domain("images", (1, self.size, self.size), "first"),
            Domain("images", (self.data.channels - 1, self.size, self.size), "second"),
        )

    def maker(self) -> ViewMaker:
        """What makes of images the batches that go to the generator, in [0, 1]."""
        assert self.data.channels is not None and self.size is not None
        return compose(self.steps, self.size, channels=self.data.channels, split="draws:1")


def build_view_learning(
    method: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    file: Path | None = None,
    *,
    trusted: bool = True,
) -> ViewLearning:
    """The recipe of a row of ``GOALS``, a file and overrides; the later wins.

    Raises UserError for an unknown method or key, with the nearest, for a value of the wrong type,
    and for a plug-in that a file which is not ``trusted`` names.

    >>> build_view_learning("unsupervised", {"epochs": 3}).learning_rates
    (0.0006, 0.0002)
    """
    plugins.load_installed()
    layers = [read(file, ViewLearning) if file else {}, overrides or {}]
    given = merge(*layers)
    needed = named_plugins(given)
    if trusted or file is None:
        plugins.load(needed)
    missing = [name for name in needed if not plugins.is_loaded(name)]
    if missing:
        raise UserError(
            f"{file} needs plugins={missing[0]}, which is not loaded here: what a run folder names "
            "is never imported by itself",
            fix=f"the same command with plugins={missing[0]}, if you trust that code",
        )
    given["plugins"] = needed
    try:
        recipe = ViewLearning.model_validate({**given, **({"method": method} if method else {})})
    except ValidationError as error:
        raise readable(error, keys_of(ViewLearning)) from error
    check_options(recipe)
    return recipe


def completed(recipe: ViewLearning, shape: tuple[int, ...]) -> ViewLearning:
    """The recipe with what follows from images of (C, H, W): channels and size.

    Raises UserError where they are too small, or have one channel, and for steps that do not fit.
    """
    channels, height, width = shape
    if channels < 2:
        raise UserError(
            "a generator parts the channels of images, and these have one",
            fix="data.channels=3, or data with colour",
        )
    size = recipe.size or min(height, width, KEPT)
    if size > min(height, width):
        raise UserError(
            f"size is {size} px but the images are {width}x{height} px",
            fix=f"size={min(height, width)} or data.size={size}",
        )
    data = recipe.data.model_copy(update={"channels": channels})
    made = recipe.model_copy(update={"size": size, "data": data})
    made.maker()  # raises for steps that do not fit
    for item in items(recipe.steps):
        if not (item.idle or item.step.keeps_unit):
            raise UserError(
                f"steps: the colour space takes values in [0, 1], which {item.step.name} changes",
                fix=f"steps without {item.step.name}; generator.space says the colour space",
            )
    return made
