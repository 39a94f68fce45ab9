"""Transfer: frozen encoders over many sets, each set opened and encoded once.

The set that a run was trained on comes first, with the split of the run's own seed; the others have
the split of seed 0, so that all runs see the same images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from torch import nn

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.data.fingerprint import content_key
from viewfinder.data.source import Source
from viewfinder.evaluation.probes.scores import AnyScore
from viewfinder.evaluation.probes.targets import find_target
from viewfinder.evaluation.probing import check_protocols, probe, untrained
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.opening import is_of_run, open_data, override, reopened
from viewfinder.runs.run import Run

KINDS = ("trained", "untrained", "raw pixels")
DEFAULT_PROTOCOL = "linear"


@dataclass(frozen=True)
class TransferSet:
    """A set to transfer to: how it was opened, its images, and what is read from them: the labels
    (None) or factors by name."""

    data: Data
    source: Source
    targets: tuple[str | None, ...] = (None,)


Memory = dict[str, list[AnyScore]]
"""Scores of baselines by all they depend on, so that runs that share them measure them once."""


def parse_sets(words: Iterable[str]) -> dict[str, tuple[str | None, ...]]:
    """Targets by spec, in order: ``SPEC`` asks for the labels, ``SPEC#A,B`` for factors A and B.

    >>> parse_sets(["mnist", "shapes#position,size", "shapes"])
    {'mnist': (None,), 'shapes': ('position', 'size', None)}
    """
    found: dict[str, list[str | None]] = {}
    for word in words:
        spec, mark, names = word.rpartition("#") if "#" in word else (word, "", "")
        if not spec or (mark and not all(names.split(","))):
            raise UserError(
                f"--data {word!r} is not SPEC or SPEC#FACTOR", fix="--data shapes#position,size"
            )
        targets = found.setdefault(spec, [])
        wanted = names.split(",") if mark else [None]
        targets += [target for target in wanted if target not in targets]
    return {spec: tuple(targets) for spec, targets in found.items()}


def open_sets(
    words: Iterable[str], recipe: Recipe, overrides: Mapping[str, Any] | None = None
) -> list[TransferSet]:
    """Open the sets named by ``words`` (see ``parse_sets``) for the encoder of a complete recipe.

    Images of other channels are converted (grey repeated, RGB to luma) with a note, or refused;
    ``overrides`` ({"data": {"limit": 1000}}) hold for every set. Every target is looked up at
    once, so a mistake costs nothing.

    Raises UserError for a set that cannot be opened or a target that cannot be measured.
    """
    return [
        opened_set(override(recipe, overrides or {}, spec).data, 0, targets, {}, None, recipe)
        for spec, targets in parse_sets(words).items()
    ]


def transfer_scores(
    encoder: nn.Module,
    recipe: Recipe,
    sets: Sequence[TransferSet],
    *,
    protocols: Sequence[str] = (DEFAULT_PROTOCOL,),
    kinds: Sequence[str] = KINDS,
    cache: Path | None = None,
    memory: Memory | None = None,
) -> list[AnyScore]:
    """Scores of an encoder, and of its baselines, on every set.

    encoder    maps float (N, C, size, size) to (N, D)
    recipe     complete; of the run that trained the encoder
    protocols  probes of the classes; quantities have ridge regression
    kinds      of ``KINDS``
    cache      folder that keeps the features; None keeps none
    memory     baselines measured before, given again where they would be the same; added to

    Raises UserError for an unknown protocol, and what ``probe`` raises.

    >>> sets = open_sets(["mnist", "shapes#position"], recipe)  # doctest: +SKIP
    >>> transfer_scores(encoder, recipe, sets, protocols=["infocl"], kinds=["trained"])
    ... # doctest: +SKIP
    """
    check_protocols(protocols)
    found: list[AnyScore] = []
    for one in sets:
        for kind in kinds:
            found += scores_of(kind, encoder, recipe, one, protocols, cache, memory)
    return found


def scores_of(
    kind: str,
    encoder: nn.Module,
    recipe: Recipe,
    one: TransferSet,
    protocols: Sequence[str],
    cache: Path | None,
    memory: Memory | None,
    facts: Mapping[str, JsonValue] | None = None,
) -> list[AnyScore]:
    """``transfer_scores`` of one kind of features on one set; ``facts`` are for their protocol."""
    recipe = recipe.model_copy(update={"data": one.data})
    if kind == "trained":
        key = None
        network: nn.Module | None = encoder
    elif kind == "untrained":
        key = network_key(recipe)
        network = untrained(recipe)
    elif kind == "raw pixels":
        key, network = "", None
    else:
        raise UserError(f"unknown features {kind!r}. Known: {', '.join(KINDS)}")
    more: Any = {"targets": one.targets, "cache": cache, "facts": facts}
    if memory is None or key is None:
        return probe(kind, network, recipe, one.source, protocols, **more)
    content = [content_key(split) for split in one.source.splits.values()]
    how = [one.data.model_dump(), recipe.evaluation.model_dump(), recipe.views.size, recipe.seed]
    key = repr((kind, key, how, content, list(one.source.notes), one.targets, list(protocols)))
    if key not in memory:
        memory[key] = probe(kind, network, recipe, one.source, protocols, **more)
    return memory[key]


def network_key(recipe: Recipe) -> str:
    """Changes with what an untrained encoder and the way it sees images depend on, but the seed."""
    own = {"encoder": recipe.encoder.name, **recipe.encoder.options().model_dump()}
    parts = {**own, "channels": recipe.data.channels}
    seen = recipe.view_maker().describe_frozen()
    return json.dumps([parts, seen, recipe.precision], sort_keys=True)


def opened_set(
    data: Data,
    seed: int,
    targets: tuple[str | None, ...],
    opened: dict[str, TransferSet],
    run: Run | None,
    trained: Recipe,
) -> TransferSet:
    """Open a set, or take it from those that are open; its targets are looked up.

    run  whose encoder is measured, of the recipe ``trained``: its own data are ``reopened``
    """
    key, own = f"{seed} {data.model_dump_json()}", None
    if run is not None and is_of_run(data.source, run, trained):
        own, held_out = run, run.held_out()
        before = "" if held_out is None else hashlib.sha256(held_out.tobytes()).hexdigest()
        key += f" {trained.seed} {trained.data.model_dump_json()} {before}"
    if key not in opened:
        say(f"{data.source}:")
        source = reopened(own, data, seed, trained) if own else open_data(data, seed)
        opened[key] = TransferSet(data, source)
    source = opened[key].source
    for target in targets:
        find_target(source, target)
    return TransferSet(data, source, targets)
