"""The parts of a recipe, as typed data: every key, its default, its range and what it means.

``viewfinder.recipes.recipe`` puts them together; docs/recipe.md lists all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from viewfinder.core.learning_rate import SCHEDULES
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.core.ranges import Channels, Count, Pixels, Positive, Rows, Weight
from viewfinder.core.table import Table
from viewfinder.core.validation import Strict
from viewfinder.data.domain import Modality
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS, word_of
from viewfinder.networks.encoders import choice as encoder_choice
from viewfinder.networks.targets import TARGETS
from viewfinder.objectives.pairs import PAIRINGS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.positives.table import POSITIVES


class Part(Strict):
    """One part of a recipe; ``bare`` is the field that ``part=value`` sets."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bare: ClassVar[str] = "name"


SET_BY_DATA = ("modality", "shape", "words", "vocabulary")
"""What a source that is read sets of the part ``data``."""


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
    label_column: str = Field("label", description="the column of data.labels that is the label")
    size: Pixels | None = Field(None, description="resize stored images to this side, px")
    channels: Channels | None = Field(None, description="convert images to this many channels")
    limit: Rows | None = Field(None, description="use at most this many images of each split")
    exclude: str | None = Field(
        None, description="list of images to leave out: paths, or positions (split,index)"
    )
    split: str = Field("train", description="the split to pretrain on")
    modality: Modality = Field("images", description="what the source holds; set when it is read")
    shape: tuple[Rows, ...] | None = Field(
        None, description="of one datum that is no image; set when the source is read"
    )
    words: Rows | None = Field(
        None, description="size of a text's vocabulary; set when the source is read"
    )
    vocabulary: str | None = Field(
        None, description="what tells that vocabulary from others; set when the source is read"
    )

    def options(self) -> dict[str, Any]:
        """How the source is to be read: what ``open_source`` takes beside it."""
        return self.model_dump(exclude={"source", "split", *SET_BY_DATA})


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
    name: str = Field("nt-xent", description=f"one of {', '.join(OBJECTIVES)}")
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
    projector: list[Count] = Field(
        [512, 128],
        max_length=100,
        description="units of each projector layer; [] or null: no projector",
    )
    batch_norm: bool = Field(True, description="batch norm after each hidden layer of the heads")
    predictor: list[Count] | None = Field(
        None,
        max_length=100,
        description="units of each predictor layer (online side only); null: no predictor",
    )

    @field_validator("projector", mode="before")
    @classmethod
    def _none_is_empty(cls, given: Any) -> Any:
        return [] if given is None else given


class Target(Choice):
    """What the online projections are compared with, and its own options."""

    table = TARGETS
    name: str = Field("shared", description=f"one of {', '.join(TARGETS)}")


class Optimizer(Part):
    """Optimiser; biases and norms get no weight decay (and no LARS scaling)."""

    name: str = Field("adamw", description=f"one of {', '.join(OPTIMIZERS)}")
    lr: float = Field(
        0.003, ge=1e-12, le=1_000, description="base learning rate; used: lr x batch / 256"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and lars")
    nesterov: bool = Field(False, description="Nesterov momentum, for sgd and lars")
    weight_decay: Weight = Field(0.01, description="weight decay")
    decay_all: bool = Field(False, description="weight decay of biases and norms too")
    warmup_epochs: Weight = Field(0.0, description="epochs of linear warm-up")
    clip: Positive | None = Field(
        None, description="largest norm of the gradient of all parameters; null: no limit"
    )

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
    supervised_epochs: Count | None = Field(
        None, description="epochs of the supervised baseline; null: as many as the run"
    )
    k: Count = Field(20, description="neighbours of kNN")
    temperature: float = Field(0.07, ge=0.002, le=1_000, description="temperature of kNN's weights")
