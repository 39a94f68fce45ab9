"""From a recipe to the data it names: opened, checked against the recipe, exchanged for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.table import open_source
from viewfinder.networks.encoders import ENCODERS, check_modality
from viewfinder.recipes.check import check_data
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import Recipe, build, complete, merge

SETTABLE = ("data", "evaluation")
"""The parts of a finished run's recipe that may be set anew; all others made its encoder."""


def open_data(data: Data, seed: int, where: Console | None = None) -> Source:
    """The source that a recipe's data part names; its notes are printed."""
    where = where or console()
    source = open_source(data.source, **data.options(), seed=seed)
    for note in source.notes:
        say(f"note: {note}", where)
    if source.unreadable:
        shown = [f"  {path}: {reason}" for path, reason in source.unreadable[:5]]
        more = len(source.unreadable) - len(shown)
        lines = [*shown, f"  and {more} more (viewfinder data lists them)"] if more else shown
        say("\n".join(lines), where)
    return source


def training_split(data: Data, source: Source) -> Split:
    """The split to pretrain on."""
    if data.split not in source.splits:
        known = ", ".join(sorted(source.splits))
        raise UserError(f"data.split={data.split}, but {data.source} has {known}")
    return source.splits[data.split]


def with_data(recipe: Recipe, where: Console | None = None) -> tuple[Recipe, Source]:
    """The recipe, completed by its data and checked against them, and the data.

    Of image files it also says the size that they were read at, which a source may have chosen:
    other files are later read at the same.

    Raises UserError where the data cannot be opened, or lack what the recipe asks for.
    """
    source = open_data(recipe.data, recipe.seed, where)
    split = training_split(recipe.data, source)
    check_modality(ENCODERS[recipe.encoder.name], split.data.modality)
    recipe = complete(recipe, split.data.shape, split.data.modality)
    if split.paths is not None and split.data.modality == "images":
        data = recipe.data.model_copy(update={"size": split.data.shape[-1]})
        recipe = recipe.model_copy(update={"data": data})
    check_data(recipe, split)
    return recipe, source


def disclosed(
    source: Source, data: Data, seed: int, trained: Recipe, where: Console | None = None
) -> Source:
    """``source``, with a note where images that it holds out were trained on by the run.

    A run's own data may be opened with other labels, another limit or seed; a test part that is
    held out of them is then drawn anew, and a score on it is not one of unseen images.

    data, seed  what ``source`` was opened with
    trained     the recipe of the run
    """
    same = data.source == trained.data.source and (data, seed) != (trained.data, trained.seed)
    if not same or source.test is None or not any("held out" in note for note in source.notes):
        return source
    before = open_source(trained.data.source, **trained.data.options(), seed=trained.seed)
    seen = np.isin(_identities(source.test), _identities(training_split(trained.data, before)))
    if not seen.any():
        return source
    note = f"{int(seen.sum())} of the {len(seen)} images held out here were in the run's training"
    say(f"note: {note}; their scores are not those of unseen images", where or console())
    return replace(source, notes=[*source.notes, note])


def _identities(split: Split) -> np.ndarray:
    """What an image of a split is known by, however the split was drawn: its path or its row."""
    return (
        np.array(split.paths)
        if split.paths is not None
        else split.factors.get("source_row", np.arange(len(split)))
    )


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
    if source is not None and source != recipe.data.source:
        kept = ("channels", "modality", "shape")
        own["data"] = {"source": source, **{key: own["data"][key] for key in kept}}
    changed = build(recipe.method, merge(own, only(overrides, allowed)))
    if changed.data.channels != recipe.data.channels:
        raise UserError(
            f"data.channels={changed.data.channels}, but the encoder takes {recipe.data.channels}; "
            "images are converted to that",
            fix=f"leave data.channels out, or pretrain with data.channels={changed.data.channels}",
        )
    return recipe.model_copy(update={"data": changed.data, "evaluation": changed.evaluation})
