"""What a regularizer is to a training step: one uniform call and declared facts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, own_rows, shares
from viewfinder.core.errors import UserError
from viewfinder.core.expect import check_same_device, check_several
from viewfinder.core.facts import check_count
from viewfinder.core.ranges import Weight
from viewfinder.core.table import Options, Row
from viewfinder.data.domain import Modality, Spec

Need = Literal["views", "features", "noisy", "stages"]
AcrossRanks = Literal["nothing", "keys", "batch"]
Elements = Literal["sum", "mean"]
ByStage = Mapping[str, Sequence[Tensor]]


class RegularizerOptions(Options):
    """Options of a regularizer with a term per view; a weight of 0 leaves the view out."""

    weight: Weight | tuple[Weight, Weight] = Field(
        1.0,
        description="what it is multiplied by; two numbers: the 1st, 3rd, ... view by the first, "
        "the others by the second",
    )

    @property
    def weights(self) -> tuple[float, float]:
        """Of the 1st, 3rd, ... view, and of the 2nd, 4th, ...: the paper's lambda_1, lambda_2."""
        return self.weight if isinstance(self.weight, tuple) else (self.weight, self.weight)

    @property
    def used(self) -> bool:
        """Whether any weight is above 0."""
        return max(self.weights) > 0


class OneTermOptions(RegularizerOptions):
    """Options of a regularizer with one term for all views together, so with one weight."""

    weight: Weight = Field(1.0, description="what it is multiplied by")


def _as_it_is(view: Tensor, number: int) -> Tensor:
    return view


@dataclass(frozen=True)
class EncoderPass:
    """What the online encoder saw and gave at a step; one tensor per view in each sequence.

    views         float (N, C, H, W), what the encoder saw
    features      float (N, D), f(v): its output, before the head
    noisy         float (N, D), z: the same with the noise that the head sees
    stages        by name, outputs of inner stages, float (N, D_s)
    noisy_stages  the same with noise
    generator     for what a term draws; on the device of the features
    shown         (view, its number) -> the view as it was before it was normalised, in [0, 1]
    rows          the samples that are this rank's anchors
    """

    views: Sequence[Tensor] = ()
    features: Sequence[Tensor] = ()
    noisy: Sequence[Tensor] = ()
    stages: ByStage = field(default_factory=dict)
    noisy_stages: ByStage = field(default_factory=dict)
    generator: torch.Generator | None = None
    shown: Callable[[Tensor, int], Tensor] = _as_it_is
    rows: slice = field(default_factory=lambda: slice(None))

    def tensors(self) -> Iterator[Sequence[Tensor]]:
        """The sequences of tensors that are there."""
        every = (self.views, self.features, self.noisy)
        yield from filter(len, (*every, *self.stages.values(), *self.noisy_stages.values()))

    def with_noise(self) -> Iterator[tuple[Sequence[Tensor], Sequence[Tensor]]]:
        """What is there both without noise and with it."""
        pairs = [(self.features, self.noisy)]
        pairs += [(own, self.noisy_stages.get(name, ())) for name, own in self.stages.items()]
        yield from ((plain, noisy) for plain, noisy in pairs if plain and noisy)

    def each(self, change: Callable[[Sequence[Tensor]], Sequence[Tensor]]) -> EncoderPass:
        """With every sequence of tensors changed, in the order of ``tensors``."""
        named: dict[str, Any] = {
            name: change(own) if len(own := getattr(self, name)) else ()
            for name in ("views", "features", "noisy")
        }
        for name in ("stages", "noisy_stages"):
            named[name] = {key: change(own) for key, own in getattr(self, name).items()}
        return replace(self, **named)

    def of_views(self, numbers: Sequence[int]) -> EncoderPass:
        """The pass of these views alone."""
        picked = self.each(lambda own: [own[i] for i in numbers])
        return replace(picked, shown=lambda view, i: self.shown(view, numbers[i]))

    def only(self, needs: Collection[Need]) -> EncoderPass:
        """The pass without the tensors that are not among ``needs``."""
        left: dict[str, Any] = {n: () for n in ("views", "features", "noisy") if n not in needs}
        if "stages" not in needs:
            left |= {"stages": {}, "noisy_stages": {}}
        return replace(self, **left)


class Term(nn.Module):
    """What a row of the table builds; its parameters, if any, are trained with the encoder.

    options  as it was built with, where it was given them
    """

    def __init__(self, options: Any = None, spec: Spec | None = None) -> None:
        super().__init__()
        self.options = options

    def forward(self, seen: EncoderPass) -> Tensor:
        """The term of each view, float (V,); or one of all views, a scalar."""
        raise NotImplementedError

    def check(self, seen: EncoderPass) -> None:
        """Raise ValueError where the pass of this process is wrong; across ranks all refuse it."""

    def decoded(self, features: Tensor, shown: Callable[[Tensor], Tensor]) -> Tensor | None:
        """For the report: images in [0, 1] made of features (N, D), where the term makes any.

        ``shown`` is (normalised view) -> the same in [0, 1].
        """
        return None


@dataclass(frozen=True, kw_only=True)
class Regularizer(Row):
    """A row of the table of regularizers: the loss gets ``sign * weight * term``.

    formula       the term, on a line
    options       ``RegularizerOptions`` for a term per view, ``OneTermOptions`` for a single one
    build         (options, spec) -> the module that computes it
    needs         what it reads of an ``EncoderPass``; the rest is not given to it. With "views"
                  they must be alike in size and normalisation
    across_ranks  what a rank's term needs of the others: "nothing", where it is a mean over
                  samples; "keys", then the pass holds the samples of all ranks and ``rows`` says
                  which are this rank's anchors, over which it is the mean; "batch", then every rank
                  computes the term of all samples
    sign          +1: it is minimised; -1: maximised
    views         least and greatest number of views; None: no limit
    noise         the head is to see noisy features with it, unless the recipe says otherwise
    stages        (options) -> names of the encoder's inner stages that it reads
    parameters    its module has parameters, which are trained with the encoder
    modality      of the views it can be used with; None: any
    """

    formula: str
    options: type[RegularizerOptions] = RegularizerOptions
    build: Callable[[Any, Spec], Term]
    needs: tuple[Need, ...]
    across_ranks: AcrossRanks
    sign: Literal[1, -1] = 1
    views: tuple[int, int | None] = (1, None)
    noise: bool = False
    stages: Callable[[Any], Collection[str]] = lambda options: ()
    parameters: bool = False
    modality: Modality | None = None
    bare: str | None = "weight"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self, *self.views)

    def __call__(self, term: nn.Module, seen: EncoderPass) -> Tensor:
        """What ``term``, a module that this row built, gives for a pass: (V,) or a scalar.

        Where there are several processes each of them must call this, and the mean over the ranks
        is the term of one process on the joined batch, in value and in gradients. Raises ValueError
        where what it needs is missing or does not fit together.
        """
        seen = seen.only(self.needs)
        every = [x for own in seen.tensors() for x in own]
        given = {f"tensor {i}": x for i, x in enumerate(every)}
        sizes = shares(self.name, given, partial(self._check, term, seen))
        rows = len(every[0])
        if len(sizes) > 1 and self.across_ranks != "nothing":
            seen = joined(seen, sizes)
            if self.across_ranks == "keys":
                seen = replace(seen, rows=own_rows(sizes))
        value = term(seen)
        self._check_value(value, seen)
        if len(sizes) == 1 or self.across_ranks == "batch":
            return value
        return value * (rows * len(sizes) / sum(sizes))

    def _check_value(self, value: object, seen: EncoderPass) -> None:
        views = len(next(seen.tensors()))
        if isinstance(value, Tensor):
            if value.is_floating_point() and value.shape in ((), (views,)):
                return
            value = f"a tensor {tuple(value.shape)} of {value.dtype}"
        raise UserError(
            f"regularizers.{self.name} gives {value}; a term for each of {views} views, or one "
            "scalar, is expected",
            fix="return torch.stack([... for each view])",
        )

    def _check(self, term: nn.Module, seen: EncoderPass) -> None:
        for name in self.needs:
            if name != "stages" and not len(getattr(seen, name)):
                raise ValueError(f"{self.name} needs {name}, and there are none")
        every = list(seen.tensors())
        for own in every:
            check_several(f"what {self.name} takes", own)
        views, first = len(every[0]), every[0][0]
        least, most = self.views
        if views < least or (most is not None and views > most):
            bound = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"{self.name} takes {bound} views, not {views}")
        for own in every:
            if len(own) != views or {len(x) for x in own} != {len(first)}:
                raise ValueError(
                    f"{self.name} takes {views} views of {len(first)} samples, not "
                    f"{[tuple(x.shape) for x in own]}"
                )
            if len({x.shape for x in own}) > 1:
                raise ValueError(
                    f"{self.name} takes views that are alike, not {[tuple(x.shape) for x in own]}"
                )
            check_same_device(f"a tensor of {self.name}", own[0], "another", first)
        for plain, noisy in seen.with_noise():
            if plain[0].shape != noisy[0].shape:
                raise ValueError(
                    f"{self.name} takes features with noise of the width of those without, not "
                    f"{tuple(noisy[0].shape)} for {tuple(plain[0].shape)}"
                )
        if isinstance(term, Term):
            term.check(seen)


def check_width(seen: EncoderPass, dim: int) -> None:
    """Raise ValueError where features are not of the width that a term was built for."""
    if (width := seen.features[0].shape[1]) != dim:
        raise ValueError(f"the term was made for features of width {dim}, not {width}")


def joined(seen: EncoderPass, sizes: Sequence[int]) -> EncoderPass:
    """The pass with the samples of all ranks."""
    flat = [x.flatten(1) for own in seen.tensors() for x in own]
    widths = [x.shape[1] for x in flat]
    parts = iter(gather(torch.cat(flat, dim=1), sizes).split(widths, dim=1))
    return seen.each(lambda own: [next(parts).reshape(-1, *x.shape[1:]).to(x.dtype) for x in own])
