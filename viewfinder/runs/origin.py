"""The run that another began with: its recipe as a base, its weights, and what is noted of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import Tensor

from viewfinder.core import plugins
from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import write_atomically, writing
from viewfinder.data.sources.table import full_spec, same_source
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build, named_plugins
from viewfinder.runs.belonging import own_weights
from viewfinder.runs.checkpoint import WEIGHTS, epochs_done, load_weights, write_digests
from viewfinder.runs.run import Run

OF_THE_METHOD = (
    *("views", "positives", "negatives", "objective", "regularizers", "head", "target"),
    *("optimizer", "schedule"),
)
"""The parts of a recipe that do not carry over to another method."""


@dataclass(frozen=True)
class Origin:
    """What a run began with, as origin.json has it.

    run     folder of the other run
    method  its method
    epochs  after which its weights were taken
    partly  whether weights that do not fit were allowed
    new     weights of the networks that it did not have in this shape: they began untrained; None
            before the networks are made
    unused  weights of its networks that found no place
    """

    run: str
    method: str
    epochs: int
    partly: bool = False
    new: tuple[str, ...] | None = None
    unused: tuple[str, ...] = ()

    def in_words(self) -> str:
        """A sentence for a reader."""
        told = f"It began with the weights of {self.run} ({self.method}, "
        told += f"after {counted(self.epochs, 'epoch')})"
        lost = [f"{len(self.new)} new" if self.new else "", f"{len(self.unused)} unused"]
        named = [text for text in (lost[0], lost[1] if self.unused else "") if text]
        return f"{told}, not all of which fitted: {', '.join(named)}." if named else f"{told}."


def based_on(start: Run, method: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of a run that begins with the weights of ``start``: that of ``start`` under the
    overrides, nested as in ``build``.

    Another method brings its own views, positives, negatives, objective, regularizers, heads,
    target and optimisation; encoder, data, budget and seed stay. Other data start from the defaults
    of the part. Raises UserError as ``build`` and ``Run.recipe`` do.
    """
    plugins.load(named_plugins(overrides))
    trained = start.recipe()
    base = trained.plain()
    named = method or overrides.get("method")
    if isinstance(named, str) and METHODS.find(named).name != trained.method:
        base = {key: value for key, value in base.items() if key not in OF_THE_METHOD}
        base["views"] = {"size": trained.views.size}
    given = overrides.get("data", {})
    source = given.get("source") if isinstance(given, Mapping) else None
    if isinstance(source, str) and not same_source(full_spec(source), trained.data.source):
        base["data"] = {"source": source, "channels": trained.data.channels}
    if trained.encoder.row.pretrained:  # the run has all weights
        base["encoder"]["pretrained"] = False
    return build(method, overrides, base=base)


def keep_origin(run: Run, start: Run, *, partly: bool = False) -> None:
    """Copy the weights of the networks of ``start`` into ``run``, which then needs it no more.

    Raises UserError where ``start`` has no checkpoint, or the disk refuses.
    """
    path = start.last_checkpoint()
    if path is None:
        raise UserError(
            f"{start.folder} has no checkpoint yet, so there are no weights to begin with",
            fix=f"viewfinder pretrain --resume {start.folder}",
        )
    trained = start.recipe()
    weights = own_weights(path, trained, start.role)
    networks = {k: v.contiguous() for k, v in weights.items() if k.startswith("networks.")}
    with writing(run.start):
        run.start.mkdir(parents=True, exist_ok=True)
        save_file(networks, run.start / WEIGHTS)
        write_digests(run.start, [WEIGHTS])
    note(run, Origin(str(start.folder.resolve()), trained.method, epochs_done(path), partly))


def note(run: Run, origin: Origin) -> None:
    """Write origin.json."""
    write_atomically(run.origin_file, json.dumps(asdict(origin), indent=1) + "\n")


def origin_of(run: Run) -> Origin | None:
    """What a run began with; None: with untrained weights. Raises UserError for a damaged file."""
    if not run.origin_file.exists():
        return None
    try:
        return TypeAdapter(Origin).validate_json(run.origin_file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{run.origin_file} is damaged: {brief(error)}") from error


def fitting(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], origin: Origin
) -> tuple[dict[str, Tensor], Origin]:
    """Those of ``weights`` that have a place of their shape and dtype among ``own``, and the origin
    with what has none.

    Raises UserError where no weight of an encoder fits, and, unless ``origin.partly``, where any
    differs.
    """
    fit = {
        k: w
        for k, w in weights.items()
        if k in own and (own[k].shape, own[k].dtype) == (w.shape, w.dtype)
    }
    new, unused = (tuple(sorted(names.keys() - fit)) for names in (own, weights))
    found = replace(origin, new=new, unused=unused)
    if not any(".encoder." in name and w.ndim for name, w in fit.items()):  # counters always fit
        raise UserError(
            f"no weight of the encoder of {origin.run} fits the encoder of this recipe",
            fix="encoder and data.channels as they are there",
        )
    if (found.new or found.unused) and not origin.partly:
        raise UserError(
            f"the weights of {origin.run} do not fit wholly: {differing(found)}",
            fix="--partly, to begin with those that fit; or the parts of the recipe as they are "
            "there",
        )
    if diverged := [k for k, w in fit.items() if not w.isfinite().all()]:
        raise UserError(f"the weights of {origin.run} are not finite in {brief(str(diverged[:3]))}")
    return fit, found


def differing(origin: Origin) -> str:
    """What did not fit, in words: the first three of each kind."""
    kinds = {"begin untrained": origin.new or (), "find no place": origin.unused}
    told = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in kinds.items()
        if names
    ]
    return "; ".join(told)


def starting_weights(run: Run) -> dict[str, Tensor]:
    """The weights that ``keep_origin`` copied. Raises UserError where they are damaged."""
    return load_weights(run.start)
