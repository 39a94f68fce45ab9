"""Rows of one's own, one decorator per table.

    @vf.register.step("negative")
    class Negative(vf.views.Transform):
        \"\"\"Dark becomes bright.\"\"\"
        def forward(self, x, drawn):
            return 1 - x

What is a module (a step, a split, negatives, a regularizer, an encoder) is a class, called as
``Class(options, ...)`` with the arguments of its row's ``build``; what is a function (positives, an
objective, a source, a probe) is one with the arguments of its row's. Options are a class within
the class, or ``options=``. Names are lower case with hyphens; others are refused with a UserError.
The first line of the docstring is the summary. Everything else is a declared fact: the class of the
row, such as ``viewfinder.views.contract.Step``, describes each.

Defining the same class again, as a notebook does, replaces its row; a name that is taken by
anything else is refused with a UserError, and so is a fact that is not what its row says it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from inspect import getdoc
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from viewfinder.core.errors import UserError, unknown
from viewfinder.core.extras import needing_app
from viewfinder.core.table import Options, R, Table
from viewfinder.data.domain import Modality
from viewfinder.evaluation.probes.contract import ProbeRow
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.negatives.contract import Kind as NegativesKind
from viewfinder.negatives.contract import NegativesRow
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS, EncoderRow
from viewfinder.networks.places import Read
from viewfinder.objectives.contract import Objective
from viewfinder.objectives.pairs import PAIRINGS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.contract import Kind, Positives
from viewfinder.positives.needs import Need as PositivesNeed
from viewfinder.positives.table import POSITIVES
from viewfinder.recipes.methods import METHODS, Method
from viewfinder.regularizers.contract import (
    AcrossRanks,
    Need,
    Regularizer,
    RegularizerOptions,
)
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.views.contract import Step, Strength, any_channels
from viewfinder.views.maker import Split
from viewfinder.views.table import SPLITS, STEPS

__all__ = [
    "encoder",
    "method",
    "negatives",
    "objective",
    "positives",
    "probe",
    "regularizer",
    "source",
    "split",
    "step",
]

T = TypeVar("T", bound=Callable[..., Any])
P = ParamSpec("P")


class Decorator(Protocol):
    """Registers a class or function, and gives it back as it is."""

    def __call__(self, made: T, /) -> T: ...


_origins: dict[tuple[str, str], str] = {}
"""Where the row of a table (kind, name) was defined, of those that were registered here."""


def _named(register: Callable[P, Decorator]) -> Callable[P, Decorator]:
    """With its first argument, the name of the row, looked at before any other."""

    @wraps(register)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Decorator:
        for name in (*args[:1], *(kwargs[key] for key in kwargs if key == "name")):
            _check_name(register.__name__, name)
        return register(*args, **kwargs)

    return checked


def _check_name(of: str, name: object) -> None:
    """Raise UserError unless it is a name, lower case with hyphens."""
    if not isinstance(name, str):
        met = getattr(name, "__name__", repr(name))
        raise UserError(
            f"@register.{of} is given {met} in the place of a name; it is called with the name of "
            "the row",
            fix=f'@register.{of}("{_as_name(met)}")',
        )
    if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(
            f"@register.{of}: {name!r} is no name of a row, which is lower case with hyphens",
            fix=f'"{_as_name(name)}"',
        )


def _as_name(words: str) -> str:
    """The nearest name: ``MyStep`` and ``my_step`` are my-step."""
    apart = re.sub("([a-z0-9])([A-Z])", r"\1-\2", words).lower()
    return re.sub("[^a-z0-9]+", "-", apart).strip("-") or "my-row"


@_named
def step(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    bare: str | None = None,
    modalities: tuple[Modality, ...] = ("images",),
    channels: Callable[[Any], tuple[int, ...]] = any_channels,
    unit: bool = False,
    keeps_unit: bool = True,
    mirrors: bool = True,
    frozen: bool = False,
    lossy: bool = False,
    gradient: bool = False,
    fuses: Literal["crop", "flip"] | None = None,
    place: int = 70,
    strength: Strength | None = None,
) -> Decorator:
    """A step of a view: ``Class(options, domain)``, a ``viewfinder.views.Transform``."""
    return _into(
        STEPS,
        Step,
        "build",
        name,
        options,
        paper=paper,
        bare=bare,
        modalities=modalities,
        channels=channels,
        unit=unit,
        keeps_unit=keeps_unit,
        mirrors=mirrors,
        frozen=frozen,
        lossy=lossy,
        gradient=gradient,
        fuses=fuses,
        place=place,
        strength=strength,
    )


@_named
def split(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    bare: str | None = None,
    modalities: tuple[Modality, ...] = ("images",),
    views: int | None = None,
    partners: bool = False,
) -> Decorator:
    """Which views come out: ``Class(options, first, second)`` of two lists of steps, a
    ``viewfinder.views.ViewMaker``."""
    return _into(
        SPLITS,
        Split,
        "build",
        name,
        options,
        paper=paper,
        bare=bare,
        modalities=modalities,
        views=views,
        partners=partners,
    )


@_named
def positives(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    bare: str | None = None,
    gives: tuple[Kind, ...] = ("clusters",),
    needs: tuple[PositivesNeed, ...] = (),
    sized_by: str | None = None,
) -> Decorator:
    """What counts as the same: ``function(options, given) -> Assignment``."""
    return _into(
        POSITIVES,
        Positives,
        "build",
        name,
        options,
        paper=paper,
        bare=bare,
        gives=gives,
        needs=needs,
        sized_by=sized_by,
    )


@_named
def negatives(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    bare: str | None = None,
    kind: NegativesKind = "table",
    gives_positive: bool = False,
    stable_index: bool = False,
    needs_momentum: bool = False,
) -> Decorator:
    """What a positive is contrasted against: ``Class(options, spec)``, a ``viewfinder.Negatives``.

    Of a class derived from ``Queue``, say ``needs_momentum=True`` as the queue's own row does.
    """
    return _into(
        NEGATIVES,
        NegativesRow,
        "build",
        name,
        options,
        paper=paper,
        bare=bare,
        kind=kind,
        gives_positive=gives_positive,
        stable_index=stable_index,
        needs_momentum=needs_momentum,
    )


@_named
def objective(
    name: str,
    *,
    formula: str,
    paper: str = "",
    options: type[Options] | None = None,
    scores: Literal["pairs", "views"] = "pairs",
    across_ranks: AcrossRanks = "batch",
    target: Literal["unused", "any", "constant"] = "any",
    negatives: tuple[NegativesKind, ...] = ("none",),
    positives: tuple[Kind, ...] = ("instance",),
    pairing: str = "one-way",
    ordered: bool = True,
    summed: Callable[[Any], bool] | None = None,
    views: tuple[int, int | None] = (1, None),
    minimum: Callable[[Any, int, int, Any], float] | None = None,
    chance: Callable[[Any, int, int, int, int], float] | None = None,
    outputs: Literal["embedding", "classes"] = "embedding",
    keys: Callable[[Any], Read] | None = None,
    assigner: Callable[[Any, int], Any] | None = None,
    state: Callable[[Any, int, Sequence[int]], Any] | None = None,
    partners: bool = False,
) -> Decorator:
    """A loss: ``function(inputs, options) -> {"loss": Tensor, ...}``.

    With ``across_ranks="batch"`` every process is given the samples of all, which is right for any
    loss; one that is a mean over samples needs "nothing".
    """
    PAIRINGS.find(pairing)
    return _into(
        OBJECTIVES,
        Objective,
        "compute",
        name,
        options,
        formula=formula,
        paper=paper,
        scores=scores,
        across_ranks=across_ranks,
        target=target,
        negatives=negatives,
        positives=positives,
        pairing=pairing,
        ordered=ordered,
        views=views,
        minimum=minimum,
        chance=chance,
        outputs=outputs,
        keys=keys,
        assigner=assigner,
        state=state,
        partners=partners,
        summed=summed or (lambda chosen: False),
    )


@_named
def regularizer(
    name: str,
    *,
    formula: str,
    needs: tuple[Need, ...],
    paper: str = "",
    options: type[RegularizerOptions] | None = None,
    across_ranks: AcrossRanks = "batch",
    sign: Literal[1, -1] = 1,
    views: tuple[int, int | None] = (1, None),
    noise: bool = False,
    stages: Callable[[Any], Collection[str]] | None = None,
    parameters: bool = False,
    modality: Modality | None = None,
) -> Decorator:
    """What is added to the loss: ``Class(options, spec)``, a ``viewfinder.regularizers.Term``.

    Its options are ``RegularizerOptions``, or ``OneTermOptions`` where the views have one term
    together.
    """
    return _into(
        REGULARIZERS,
        Regularizer,
        "build",
        name,
        options,
        RegularizerOptions,
        formula=formula,
        needs=needs,
        paper=paper,
        across_ranks=across_ranks,
        sign=sign,
        views=views,
        noise=noise,
        parameters=parameters,
        modality=modality,
        **({} if stages is None else {"stages": stages}),
    )


@_named
def encoder(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    modalities: tuple[Modality, ...] = ("images",),
    maps: bool = False,
    pretrained: bool = False,
) -> Decorator:
    """An encoder: ``Class(options, domain)``, a module from views (N, ...) to features (N, D)."""
    return _into(
        ENCODERS,
        EncoderRow,
        "build",
        name,
        options,
        paper=paper,
        modalities=modalities,
        maps=maps,
        pretrained=pretrained,
    )


@_named
def source(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    bare: str | None = None,
    modality: Modality = "images",
    labels: bool = False,
) -> Decorator:
    """Where data come from: ``function(options, how) -> Source``, ``how`` a ``ReadOptions``."""
    with needing_app("a source"):
        from viewfinder.data.sources.table import SOURCES, SourceRow

    return _into(
        SOURCES,
        SourceRow,
        "read",
        name,
        options,
        paper=paper,
        bare=bare,
        modality=modality,
        labels=labels,
    )


@_named
def probe(
    name: str,
    *,
    paper: str = "",
    options: type[Options] | None = None,
    phrase: str = "",
) -> Decorator:
    """A probe of frozen features: ``function(options, x, y, test_x, classes, seed)``, which gives
    scores (M, classes) and what the protocol is to say."""
    return _into(PROBES, ProbeRow, "scores", name, options, paper=paper, phrase=phrase)


@_named
def method(name: str, *, paper: str = "") -> Decorator:
    """A method: ``function()`` that gives its settings, keys of a recipe as ``recipe`` takes them.

    >>> @method("mild-simclr")
    ... def mild_simclr():
    ...     \"\"\"SimCLR with larger crops.\"\"\"
    ...     return {"objective": "nt_xent", "views": {"preset": "simclr", "crop_scale": [0.5, 1]}}
    >>> METHODS.remove("mild-simclr").summary
    'SimCLR with larger crops'
    """

    def decorate(made: T) -> T:
        with needing_app("a method"):
            from viewfinder.recipes.recipe import nested

        settings = nested(made().items())
        row = Method(name=name, summary=_summary(made), paper=paper, settings=settings)
        _put(METHODS, row, made)
        return made

    return decorate


def _into(
    table: Table[R],
    row: type[R],
    does: str,
    name: str,
    options: type[Options] | None,
    default: type[Options] = Options,
    **facts: Any,
) -> Decorator:
    """The decorator that adds a row to a table; what it decorates becomes the row's ``does``."""

    def decorate(made: T) -> T:
        own = options or getattr(made, "Options", default)
        if not (isinstance(own, type) and issubclass(own, default)):
            raise UserError(
                f"{table.kind} {name}: its options are {own!r}; a class derived from "
                f"{default.__name__} is expected",
                fix=f"from {default.__module__} import {default.__name__}",
            )
        for fact in ("bare", "sized_by"):
            option = facts.get(fact)
            if option is not None and option not in own.model_fields:
                raise unknown(f"option of {table.kind} {name}", option, own.model_fields)
        given = {"name": name, **facts, does: made}
        _put(table, row(summary=_summary(made), options=own, **given), made)
        return made

    return decorate


def _put(table: Table[R], row: R, made: Callable[..., Any]) -> None:
    """Add a row, in the place of the one that the same definition made before."""
    at, origin = (table.kind, row.name), f"{made.__module__}.{made.__qualname__}"
    if row.name in table and _origins.get(at) == origin:
        table.remove(row.name)
    table.add(row)
    _origins[at] = origin


def _summary(made: Callable[..., Any]) -> str:
    """The first line of the docstring, without the full stop."""
    first = (getdoc(made) or "").strip().partition("\n")[0]
    if not made.__doc__ or not first:
        raise UserError(
            f"{made.__qualname__} has no docstring; its first line is the summary of the row",
            fix='"""What it is, in a line."""',
        )
    return first.rstrip(".")


def __dir__() -> list[str]:
    return __all__
