"""The parts of a recipe, as typed data: every key, its default, its range and what it means.

``viewfinder.recipes.recipe`` puts them together; docs/recipe.md lists all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from viewfinder.core.errors import UserError, nearest, unknown
from viewfinder.objectives.contract import Options as ObjectiveOptions
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.table import POSITIVES, split_spec
from viewfinder.positives.table import Options as PositivesOptions
from viewfinder.positives.table import find as find_positives
from viewfinder.regularizers.terms import Elements, Likelihood, SumOver


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


class Positives(Part):
    """Which images count as the same: the cluster assignment Z, and its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field("instance", description=f"one of {', '.join(POSITIVES)}; or file:z.parquet")
    sampler: Literal["shuffle", "clusters"] = Field(
        "shuffle", description="batches of shuffled images; or of pairs from clusters drawn by size"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        """``file:z.parquet`` is name and path in one word."""
        if not isinstance(given, Mapping) or ":" not in str(given.get("name", "")):
            return given
        name, options = split_spec(given["name"])
        return {**given, "name": name, **options}

    @model_validator(mode="after")
    def _known(self) -> Self:
        find_positives(self.name)
        return self

    def options(self) -> PositivesOptions:
        """The options of these positives, typed and complete."""
        return POSITIVES[self.name].options(**(self.model_extra or {}))


class Negatives(Part):
    """What a positive is contrasted against."""

    name: Literal["batch", "queue", "none"] = Field("batch", description="batch, queue or none")
    size: PositiveInt = Field(4096, description="rows of the queue")


class ObjectivePart(Part):
    """The loss, and its own options (listed per objective)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field("nt_xent", description=f"one of {', '.join(OBJECTIVES)}")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in OBJECTIVES:
            raise unknown("objective", self.name, OBJECTIVES)
        return self

    def options(self) -> ObjectiveOptions:
        """The objective's options, typed and complete."""
        return OBJECTIVES[self.name].options(**(self.model_extra or {}))


class Weighted(Part):
    """A regularizer: ``regularizers.rc=1`` sets its weight, which is 1 where only other keys of it
    are set, and 0 leaves it out."""

    bare: ClassVar[str] = "weight"
    weight: NonNegativeFloat = Field(1.0, description="what it is multiplied by")

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        return {"weight": given} if isinstance(given, int | float) else given


class Reconstruct(Weighted):
    """RC: a decoder makes each view again from its features."""

    likelihood: Likelihood = Field("gaussian", description="gaussian, laplace or bernoulli")
    elements: Elements = Field(
        "mean", description="mean over the numbers of a view, as the weights of the paper's "
        "experiments are for; or sum, as its formula has it"
    )  # fmt: skip


class Estimate(Weighted):
    """LBE: the InfoNCE bound on what noisy features know of their view is maximised."""

    rho: PositiveFloat | None = Field(
        None, description="scale of squared distances; null: 25.6 / the features' width, which is "
        "the paper's 0.05 at 512 and its code's 0.0125 at 2048"
    )  # fmt: skip
    sum_over: SumOver = Field(
        "noisy", description="noisy, as equation 14; means, as the released code"
    )
    views: Literal["joined", "each"] = Field(
        "joined", description="joined: one estimate over the views together, as the released code; "
        "each: the sum of one a view"
    )  # fmt: skip
    stages: dict[str, PositiveFloat] | None = Field(
        None, min_length=1, description="weights of inner stages by submodule, such as "
        "{layer3: 0.5, layer4: 1}; null: the features alone"
    )  # fmt: skip


class Match(Weighted):
    """IP and MIB: the squared distance between the two views' features."""

    elements: Elements = Field("mean", description="mean or sum over the features' dimensions")


DEFAULT_NOISE = 0.1


class Regularizers(Part):
    """What is added to the objective; ``regularizers=rc+lbe`` is both, with a weight of 1."""

    rc: Reconstruct | None = Field(None, description="reconstruction of each view, weight lambda_1")
    lbe: Estimate | None = Field(None, description="lower bound estimate of I(z, v), lambda_2")
    ip: Match | None = Field(None, description="inverse predictive term: features of views agree")
    mib: Match | None = Field(None, description="multi-view bottleneck: ip, with noisy features")
    noise: NonNegativeFloat | None = Field(
        None, description="standard deviation of the noise on the features that the head and lbe "
        f"see in training; null: {DEFAULT_NOISE} with lbe or mib, else 0"
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        """Names alone are regularizers with their defaults."""
        if isinstance(given, str) or given is None:
            words = [word.strip() for word in (given or "none").split("+")]
            given = [word for word in words if word != "none"]
        return {str(name): {} for name in given} if isinstance(given, list) else given

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on the features."""
        if self.noise is not None:
            return self.noise
        return DEFAULT_NOISE if self.given & {"lbe", "mib"} else 0.0

    @property
    def given(self) -> set[str]:
        """Which are used: those with a weight above 0."""
        parts = {"rc": self.rc, "lbe": self.lbe, "ip": self.ip, "mib": self.mib}
        return {name for name, part in parts.items() if part is not None and part.weight > 0}

    def __str__(self) -> str:
        """What is used, with weights and whatever is set: "rc 1 + lbe 0.1 (rho 0.3)"."""
        words = []
        for name in ("rc", "lbe", "ip", "mib"):
            part = getattr(self, name)
            if name in self.given:
                options = part.model_dump(exclude_defaults=True, exclude={"weight"})
                told = ", ".join(f"{key} {value}" for key, value in options.items())
                words.append(f"{name} {part.weight:g}" + (f" ({told})" if told else ""))
        if self.noise is not None:
            words.append(f"noise {self.noise:g}")
        return " + ".join(words) or "none"


class Encoder(Part):
    """The backbone."""

    name: str = Field(
        "convnet", description="convnet, mlp, a timm model's name, or package.module:Class"
    )
    widths: list[PositiveInt] = Field(
        [32, 64, 128, 256, 512],
        min_length=1,
        description="channels of each stage of the convnet, units of the mlp",
    )
    stem: Literal["auto", "small", "strided", "original"] = Field(
        "auto", description="of a ResNet. small: 3x3 of stride 1, no max-pool; strided: the same "
        "of stride 2; original: 7x7 and max-pool; auto: small at 64 px and below, else original"
    )  # fmt: skip
    pretrained: bool = Field(False, description="start from timm's pretrained weights")


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


class Target(Part):
    """What the online projections are compared with."""

    name: Literal["shared", "detached", "momentum"] = Field(
        "shared",
        description="shared: the same network; detached: the same without gradient; "
        "momentum: an exponential moving average of the network",
    )
    momentum: float = Field(0.996, ge=0, le=1, description="weight of the old average at the start")
    final_momentum: float = Field(1.0, ge=0, le=1, description="the same at the end, by cosine")


class Optimizer(Part):
    """Optimiser; biases and norms get no weight decay (and no LARS scaling)."""

    name: Literal["sgd", "adam", "adamw", "lars"] = Field(
        "adamw", description="sgd, adam, adamw, lars"
    )
    lr: PositiveFloat = Field(0.003, description="base learning rate; used: lr x batch / 256")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and lars")
    nesterov: bool = Field(False, description="Nesterov momentum, for sgd and lars")
    weight_decay: NonNegativeFloat = Field(0.01, description="weight decay")
    warmup_epochs: NonNegativeFloat = Field(0.0, description="epochs of linear warm-up")
    final_lr: float = Field(0.0, ge=0, le=1, description="learning rate at the end, as a fraction")


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


def readable(
    error: ValidationError, keys: Mapping[str, str], prefix: tuple[str, ...] = ()
) -> UserError:
    """The first problem of a validation error, by its dotted key.

    keys: all that there are, with their descriptions; prefix: where the model stands.
    """
    problem = error.errors()[0]
    cause = (problem.get("ctx") or {}).get("error")
    if isinstance(cause, UserError):
        return cause
    key = ".".join(str(step) for step in (*prefix, *problem["loc"]))
    if problem["type"] == "extra_forbidden":
        guess = nearest(key, keys)
        hint = f"Did you mean {guess}?" if guess else "docs/recipe.md lists every key."
        return UserError(f"unknown key {key}. {hint}")
    while key not in keys and key.rpartition(".")[0] in keys and not key[-1].isdigit():
        key = key.rpartition(".")[0]  # which kind of value of several was tried is no key
    meaning = f" ({keys[key]})" if keys.get(key) else ""
    msg = problem["msg"].removeprefix("Value error, ")
    return UserError(f"{key} is {problem['input']!r}: {msg}{meaning}", fix=_within(key, problem))


def _within(key: str, problem: Mapping[str, Any]) -> str | None:
    """The nearest value inside the bound that was broken, as key=value."""
    bounds = problem.get("ctx") or {}
    for name in ("ge", "le"):
        if name in bounds:
            return f"{key}={bounds[name]:g}"
    if "gt" in bounds and isinstance(problem["input"], int):
        return f"{key}={bounds['gt'] + 1:g}"
    return None
