"""The parts of a recipe, as typed data: every key, its default, its range and what it means.

``viewfinder.recipes.recipe`` puts them together; docs/recipe.md lists all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Optional, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    create_model,
    model_validator,
)

from viewfinder.core.errors import UserError
from viewfinder.core.learning_rate import SCHEDULES
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.core.table import Table
from viewfinder.core.validation import readable
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS, word_of
from viewfinder.networks.encoders import choice as encoder_choice
from viewfinder.networks.targets import TARGETS
from viewfinder.objectives.pairs import PAIRINGS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.positives.table import POSITIVES
from viewfinder.views.augment import Augmentation
from viewfinder.views.presets import preset


class Part(BaseModel):
    """One part of a recipe; ``bare`` is the field that ``part=value`` sets."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    bare: ClassVar[str] = "name"


class Data(Part):
    """Where the images come from (see ``viewfinder data``)."""

    bare: ClassVar[str] = "source"
    source: str = Field(
        "shapes", description="source spec: shapes, digits, npz:PATH, folder:DIR, cifar10, ..."
    )
    root: str | None = Field(None, description="folder of torchvision's data sets")
    download: bool = Field(False, description="download a torchvision data set that is missing")
    strict: bool = Field(False, description="stop at the first unreadable image, skip none")
    labels: str | None = Field(None, description="CSV of labels (path,label or index,label)")
    size: PositiveInt | None = Field(None, description="resize stored images to this side, px")
    channels: PositiveInt | None = Field(None, description="convert images to this many channels")
    limit: PositiveInt | None = Field(
        None, description="use at most this many images of each split"
    )
    split: str = Field("train", description="the split to pretrain on")

    def options(self) -> dict[str, Any]:
        """How the source is to be read: what ``open_source`` takes beside it."""
        return self.model_dump(exclude={"source", "split"})


_VIEW_KEYS = {f"views.{k}": f.description or "" for k, f in Augmentation.model_fields.items()}
_OPTIONAL: dict[str, Any] = {
    name: (Optional[field.annotation], Field(None, description=field.description))  # noqa: UP045
    for name, field in Augmentation.model_fields.items()
}
OptionalAugmentation: Any = create_model(
    "OptionalAugmentation",
    __base__=Part,
    **_OPTIONAL,
)
"""An augmentation in which only what is set counts: overrides of a preset."""


class Views(OptionalAugmentation):
    """How views are made. A field set here overrides the preset in every view."""

    bare: ClassVar[str] = "preset"
    preset: str = Field("simclr", description="simclr, moco, moco2, byol, supervised or none")
    count: PositiveInt = Field(2, description="views of each image")
    size: PositiveInt | None = Field(None, description="side of the view, px; null: the images'")
    small_count: NonNegativeInt = Field(
        0, description="further views of small crops (multi-crop); swav and dino know them"
    )
    small_size: PositiveInt | None = Field(
        None, description="side of the small views, px; null: half of size"
    )
    small_scale: tuple[float, float] = Field(
        (0.05, 0.25), description="area of the small crops, fractions of the image"
    )
    first: OptionalAugmentation | None = Field(
        None, description="overrides of the 1st, 3rd, ... view"
    )
    second: OptionalAugmentation | None = Field(
        None, description="overrides of the 2nd, 4th, ... view"
    )

    @property
    def small_side(self) -> int:
        """Side of the small views, px: half that of the large ones unless it is given."""
        assert self.size is not None  # augmentations and complete see to it
        return self.small_size or max(4, self.size // 2)

    def augmentations(self) -> list[Augmentation]:
        """One augmentation a view: the preset's, then this part's fields, then first/second's; then
        those of the small views, which differ in size and crop alone."""
        if self.size is None:
            raise UserError("views.size is not set", fix="views.size=32")
        shared = {name: getattr(self, name) for name in Augmentation.model_fields}
        pair = []
        for base, own in zip(
            preset(self.preset, self.size), (self.first, self.second), strict=True
        ):
            layers = [base.model_dump(), shared, own.model_dump() if own else {}]
            chosen = {k: v for layer in layers for k, v in layer.items() if v is not None}
            try:
                pair.append(Augmentation(**chosen))
            except ValidationError as error:
                raise readable(error, _VIEW_KEYS, prefix=("views",)) from error
        large = [pair[i % 2] for i in range(self.count)]
        return large + [self._small(pair[i % 2]) for i in range(self.small_count)]

    def _small(self, like: Augmentation) -> Augmentation:
        """A small view with the colours of a large one; what does not fit it is refused."""
        crop: dict[str, Any] = {"size": self.small_side, "crop_scale": self.small_scale}
        try:
            return Augmentation(**{**like.model_dump(), **crop})
        except ValidationError as error:
            problem = readable(error, _VIEW_KEYS, prefix=("views",))
            told = f"small views of {crop['size']} px, views.small_scale={list(self.small_scale)}"
            raise UserError(f"{told}: {problem.message}", fix=problem.fix) from error


class Choice(Part):
    """A part that is a row of a table, with the options of that row beside its name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    table: ClassVar[Table[Any]]
    name: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        """``file:z.parquet`` is name and option in one word; a word alone is a name."""
        if isinstance(given, str):
            given = {"name": given}
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            return given
        name, options = cls.named(given["name"])
        return {**given, "name": name, **options}

    @classmethod
    def named(cls, word: str) -> tuple[str, dict[str, Any]]:
        """The row that a word stands for, and the options that it sets."""
        return cls.table.parse(word)

    @model_validator(mode="after")
    def _known(self) -> Self:
        self.table.find(self.name)
        return self

    @property
    def row(self) -> Any:
        """The row of the table that was chosen."""
        return self.table[self.name]

    def options(self) -> Any:
        """The options of the row, typed and complete."""
        return self.row.options(**(self.model_extra or {}))

    def plain(self) -> dict[str, Any]:
        """Name, what all choices have, and every option, as JSON data."""
        shared = self.model_dump(mode="json", include=set(type(self).model_fields))
        return {**shared, **self.options().model_dump(mode="json")}


class PositivesPart(Choice):
    """Which images count as the same: the cluster assignment Z, and its own options."""

    table = POSITIVES
    name: str = Field("instance", description=f"one of {', '.join(POSITIVES)}; or file:z.parquet")
    sampler: str = Field(
        "shuffle",
        description="; ".join(f"{row.name}: {row.summary}" for row in SAMPLERS.values()),
    )

    @model_validator(mode="after")
    def _known_sampler(self) -> Self:
        SAMPLERS.find(self.sampler)
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """The most clusters of each clustering; () where it is not known beforehand."""
        sizes: tuple[int, ...] = self.row.sizes(self.options())
        return sizes


class NegativesPart(Choice):
    """What a positive is contrasted against, and its own options."""

    table = NEGATIVES
    name: str = Field("batch", description=f"one of {', '.join(NEGATIVES)}; or queue:4096")


class ObjectivePart(Choice):
    """The loss, and its own options (listed per objective)."""

    table = OBJECTIVES
    name: str = Field("nt_xent", description=f"one of {', '.join(OBJECTIVES)}")
    pairs: str | None = Field(
        None,
        description="which views are compared with which, for objectives that score pairs: "
        f"{', '.join(PAIRINGS)}; null: as the objective's paper",
    )


class Encoder(Choice):
    """The backbone, and its own options (listed per encoder)."""

    table = ENCODERS
    name: str = Field(
        "convnet",
        description=f"one of {', '.join(ENCODERS)}; or a timm model's name, or "
        "package.module:Class",
    )

    @classmethod
    def named(cls, word: str) -> tuple[str, dict[str, Any]]:
        """``resnet18`` is the model of timm, ``my.nets:Net`` a class of one's own."""
        return encoder_choice(word)

    def __str__(self) -> str:
        """The word that chooses it: resnet18, not timm."""
        return word_of(self.row, self.options())


class Head(Part):
    """The networks between the encoder and the objective; dropped after training."""

    bare: ClassVar[str] = "projector"
    projector: list[PositiveInt] = Field(
        [512, 128], min_length=1, description="units of each projector layer"
    )
    batch_norm: bool = Field(True, description="batch norm after each hidden layer of the heads")
    predictor: list[PositiveInt] | None = Field(
        None, description="units of each predictor layer (online side only); null: no predictor"
    )


class Target(Choice):
    """What the online projections are compared with, and its own options."""

    table = TARGETS
    name: str = Field("shared", description=f"one of {', '.join(TARGETS)}")


class Optimizer(Part):
    """Optimiser; biases and norms get no weight decay (and no LARS scaling)."""

    name: str = Field("adamw", description=f"one of {', '.join(OPTIMIZERS)}")
    lr: PositiveFloat = Field(0.003, description="base learning rate; used: lr x batch / 256")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and lars")
    nesterov: bool = Field(False, description="Nesterov momentum, for sgd and lars")
    weight_decay: NonNegativeFloat = Field(0.01, description="weight decay")
    decay_all: bool = Field(False, description="weight decay of biases and norms too")
    warmup_epochs: NonNegativeFloat = Field(0.0, description="epochs of linear warm-up")

    @model_validator(mode="after")
    def _known(self) -> Self:
        OPTIMIZERS.find(self.name)
        return self


class Schedule(Choice):
    """How the learning rate goes on after the warm-up."""

    table = SCHEDULES
    name: str = Field("cosine", description=f"one of {', '.join(SCHEDULES)}")


class Evaluation(Part):
    """What is measured at the end of a run."""

    bare: ClassVar[str] = "protocols"
    protocols: list[str] = Field(["linear", "knn"], description="probes of the frozen encoder")
    baselines: bool = Field(True, description="measure raw pixels, untrained and supervised beside")
    supervised_epochs: PositiveInt | None = Field(
        None, description="epochs of the supervised baseline; null: as many as the run"
    )
    k: PositiveInt = Field(20, description="neighbours of kNN")
    temperature: float = Field(0.07, ge=0.002, description="temperature of kNN's weights")
