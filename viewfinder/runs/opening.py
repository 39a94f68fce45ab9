"""From a recipe to the data it names: opened, checked against the recipe, exchanged for others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.data.domain import Modality
from viewfinder.data.source import Source, Split, words_of
from viewfinder.data.sources.table import SOURCES, full_spec, open_source, place_of, same_source
from viewfinder.data.splits import identities
from viewfinder.networks.encoders import ENCODERS, check_modality
from viewfinder.recipes.check import check_data
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.parts import SET_BY_DATA, Data
from viewfinder.recipes.recipe import Recipe, build, complete, merge, vocabulary
from viewfinder.runs.checkpoint import epoch_of
from viewfinder.runs.run import Run

SETTABLE = ("data", "evaluation")
"""The parts of a finished run's recipe that may be set anew; all others made its encoder."""


def open_data(
    data: Data,
    seed: int,
    where: Console | None = None,
    *,
    held_out: np.ndarray | None = None,
) -> Source:
    """The source that a recipe's data part names; its notes are printed."""
    where = where or console()
    source = open_source(data.source, **data.options(), seed=seed, held_out=held_out)
    for note in source.notes:
        say(f"note: {note}", where)
    if source.unreadable:
        shown = [f"  {path}: {reason}" for path, reason in source.unreadable[:5]]
        more = len(source.unreadable) - len(shown)
        lines = [*shown, f"  and {more} more (viewfinder data lists them)"] if more else shown
        say(lines, where)
    return source


def training_split(data: Data, source: Source) -> Split:
    """The split to pretrain on."""
    if data.split not in source.splits:
        known = ", ".join(sorted(source.splits))
        raise UserError(f"data.split={data.split}, but {data.source} has {known}")
    return source.splits[data.split]


def with_data(
    recipe: Recipe, where: Console | None = None, *, held_out: np.ndarray | None = None
) -> tuple[Recipe, Source]:
    """The recipe, completed by its data and checked against them, and the data; ``held_out``: the
    images that are the test part, where that is known already.

    Of image files it also says the size that they were read at, which a source may have chosen:
    other files are later read at the same.

    Raises UserError where the data cannot be opened, or lack what the recipe asks for.
    """
    source = open_data(recipe.data, recipe.seed, where, held_out=held_out)
    split = training_split(recipe.data, source)
    _check_method(recipe, split.data.modality)
    known = recipe.data.model_copy(update={"source": source.spec})  # photos is folder:photos
    recipe = recipe.model_copy(update={"data": known})
    recipe = complete(recipe, split.data.shape, split.data.modality, words_of(split.data))
    recipe = _with_batch_of(recipe, split, where)
    if split.paths is not None and split.data.modality == "images":
        data = recipe.data.model_copy(update={"size": split.data.shape[-1]})
        recipe = recipe.model_copy(update={"data": data})
    for domain in recipe.view_maker().encoders.values():
        check_modality(ENCODERS[recipe.encoder.name], domain.modality)
    check_data(recipe, split)
    return recipe, source


def _check_method(recipe: Recipe, modality: Modality) -> None:
    """Raise UserError for data that neither a method nor the encoder it has now is for."""
    own = METHODS[recipe.method].modality if recipe.method in METHODS else "images"
    if own in ("images", modality) or modality in ENCODERS[recipe.encoder.name].modalities:
        return
    sources = [row.spelling for row in SOURCES.values() if row.modality == own]
    raise UserError(
        f"{recipe.method} is a method for {own}, and {recipe.data.source} holds {modality}",
        fix=f"data={sources[0]}" if sources else None,
    )


def _with_batch_of(recipe: Recipe, split: Split, where: Console | None) -> Recipe:
    """The recipe with a batch that the data fill: the largest power of 2, shared by all processes;
    a note says so."""
    if recipe.batch_size <= len(split):
        return recipe
    size = 2 ** int(math.log2(max(len(split), 1)))
    size -= size % recipe.processes
    if size < 2:
        return recipe  # refused by check_data
    note = f"batch_size={recipe.batch_size} is more than the {len(split)} images of {split.name}"
    say(f"note: {note}: batches of {size} are used", where or console())
    return recipe.model_copy(update={"batch_size": size})


def is_of_run(spec: str, run: Run, trained: Recipe) -> bool:
    """Whether a source is the data of a run: the same, or a folder that has files of all the names
    that the run held out, so a copy of it or the folder in another place."""
    if same_source(spec, trained.data.source):
        return True
    held_out, place = run.held_out(), place_of(full_spec(spec))
    if held_out is None or held_out.dtype.kind != "U" or place is None:
        return False
    return all((Path(place).expanduser() / name).is_file() for name in held_out.tolist())


def reopened(
    run: Run, data: Data, seed: int, trained: Recipe, where: Console | None = None
) -> Source:
    """The data for an evaluation of a run: of its own data the part that it held out stays the test
    part, whatever labels or limit are given now, so that no image it was trained on is in it.

    Where the run held nothing out and a part is drawn now, a note says how many of its images the
    run has seen.

    data, seed  what is to be opened, and the seed of a part that has to be drawn
    trained     the recipe of the run
    """
    if not is_of_run(data.source, run, trained):
        return open_data(data, seed, where)
    held_out = run.held_out()
    source = open_data(data, seed, where, held_out=held_out)
    if held_out is not None or not source.held_out or (data, seed) == (trained.data, trained.seed):
        return source
    return _disclosed(source, trained, where)


def _disclosed(source: Source, trained: Recipe, where: Console | None) -> Source:
    """``source`` with a note on the images of its test part that the run was trained on."""
    assert source.test is not None
    before = open_source(trained.data.source, **trained.data.options(), seed=trained.seed)
    seen = np.isin(identities(source.test), identities(training_split(trained.data, before)))
    if not seen.any():
        return source
    note = f"{int(seen.sum())} of the {len(seen)} images held out here were in the run's training"
    say(f"note: {note}; their scores are not those of unseen images", where or console())
    return replace(source, notes=[*source.notes, note])


def check_kind(recipe: Recipe, source: Source) -> None:
    """Raise UserError where the encoder of a run does not take what a source holds."""
    data, wanted = source.train.data, recipe.domain
    fits = data.modality == wanted.modality
    if not fits or (data.modality != "images" and data.shape != wanted.shape):
        raise UserError(
            f"{source.spec} holds {data.modality} of {'x'.join(map(str, data.shape))}; the encoder "
            f"of the run takes {wanted.modality} of {'x'.join(map(str, wanted.shape))}",
            fix=f"--data with {wanted.modality}",
        )
    words = words_of(data)
    if words and vocabulary(words) != recipe.data.vocabulary:
        raise UserError(
            f"{source.spec} has another vocabulary ({len(words)} words) than the text that the run "
            f"was trained on ({wanted.words}), so its words would be taken for others",
            fix="the same text",
        )


def say_unfinished(recipe: Recipe, checkpoint: Path) -> None:
    """Print how far a run is, where it has not come to its end."""
    epoch = epoch_of(checkpoint)
    if epoch is not None and epoch < recipe.epochs:
        say(f"note: the run is unfinished: the encoder is of epoch {epoch} of {recipe.epochs}")


def only(overrides: Mapping[str, Any], allowed: Sequence[str]) -> Mapping[str, Any]:
    """The overrides as they are. Raises UserError for a part that is not ``allowed``."""
    for key in overrides:
        if key not in allowed:
            raise UserError(
                f"{key} cannot be set here, only {', '.join(f'{a}.*' for a in allowed)}"
            )
    return overrides


def override(
    recipe: Recipe,
    overrides: Mapping[str, Any],
    source: str | None = None,
    allowed: Sequence[str] = SETTABLE,
) -> Recipe:
    """A run's recipe with other data or evaluation settings; the encoder's channels stay.

    overrides  nested, as ``build`` takes them: {"data": {"limit": 300}}
    source     other data, which start from the defaults of the data part: a limit or label file of
               the training data says nothing about them

    Raises UserError for what is not ``allowed``, and for channels that the encoder does not take.
    """
    own = recipe.model_dump(mode="json", include=set(SETTABLE))
    source = None if source is None else full_spec(source)
    if source is not None and not same_source(source, recipe.data.source):
        kept = ("channels", *SET_BY_DATA)
        own["data"] = {"source": source, **{key: own["data"][key] for key in kept}}
    changed = build(recipe.method, merge(own, only(overrides, allowed)))
    if changed.data.channels != recipe.data.channels:
        raise UserError(
            f"data.channels={changed.data.channels}, but the encoder takes {recipe.data.channels}; "
            "images are converted to that",
            fix=f"leave data.channels out, or pretrain with data.channels={changed.data.channels}",
        )
    return recipe.model_copy(update={"data": changed.data, "evaluation": changed.evaluation})
