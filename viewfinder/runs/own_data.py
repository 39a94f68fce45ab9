"""The data that a run was trained on: where they lie, and whether they are still the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.data.fingerprint import differences, fingerprint
from viewfinder.data.source import Source
from viewfinder.data.sources.table import located_source, place_of
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import Recipe, build, merge
from viewfinder.runs.checkpoint import DIGESTS, damage, write_digests
from viewfinder.runs.run import Run

LARGEST = 2**20
"""Bytes of data.json, at most."""
PLACES = ("source", "root", "labels", "exclude")
"""The keys of the data that say where they lie."""
CHANGED = "are not the data that the run was trained on"


def located(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths of its data and files, so that it means the same elsewhere."""
    data, positives = recipe.data, recipe.positives
    moved = {"source": located_source(data.source)}
    moved |= {key: str(path) for key, path in _files(data, PLACES[1:])}
    own = {key: str(path) for key, path in _files(positives, positives.row.paths)}
    return recipe.model_copy(
        update={
            "data": data.model_copy(update=moved),
            "positives": type(positives)(**{**positives.plain(), **own}),
        }
    )


def relocated(recipe: Recipe, places: Mapping[str, Any]) -> Recipe:
    """The recipe of a run with its data or files in other places, nested as in ``build``.

    Raises UserError for what is no place.
    """
    allowed = {"data": PLACES, "positives": recipe.positives.row.paths}
    for part, given in places.items():
        for key in given if isinstance(given, Mapping) else [""]:
            if key not in allowed.get(part, ()):
                raise UserError(
                    "--resume continues a run exactly as it was started, so it takes no other words"
                    " than the plugins= it needs, and where its data lie now",
                    fix="data=folder:PLACE, data.root=PLACE, data.labels=FILE, data.exclude=FILE,"
                    " positives.file=FILE;"
                    " or a new run for another recipe",
                )
    return located(build(recipe.method, merge(recipe.plain(), places)))


def check_there(run: Run, recipe: Recipe, *, training: bool = False) -> None:
    """Raise UserError where the data of a run, or for training its files, lie there no more."""
    source = place_of(recipe.data.source)
    row = recipe.data.source.partition(":")[0]
    places = {} if source is None else {f"data={row}:": Path(source)}
    places |= {f"data.{k}=": p for k, p in _files(recipe.data, PLACES[1:])}
    if training:
        own = _files(recipe.positives, recipe.positives.row.paths)
        places |= {f"positives.{key}=": path for key, path in own}
    for word, path in places.items():
        if not path.expanduser().exists():
            raise UserError(
                f"the run {run.folder} was trained with {path}, and there is nothing there: it was "
                "moved, or this is another machine",
                fix=f"the same command with {word}PLACE, where it lies now",
            )


def same_but_for_places(data: Data, trained: Data) -> bool:
    """Whether data are read in the same way, wherever they lie: then they must be the same."""
    pairs = {key: (getattr(data, key), getattr(trained, key)) for key in PLACES}
    moved = {key: there for key, (here, there) in pairs.items() if None not in (here, there)}
    return data.model_copy(update=moved) == trained


def remember(run: Run, source: Source) -> None:
    """Keep a fingerprint of the data in the run, and digests of it and of the recipe."""
    write_atomically(run.data_file, json.dumps(fingerprint(source), indent=1) + "\n")
    sign(run)


def sign(run: Run) -> None:
    """Note the recipe and the fingerprint as they are: a change of them is then noticed."""
    write_digests(run.folder, [run.recipe_file.name, run.data_file.name])


def check_unchanged(run: Run, source: Source, *, asked: bool = False) -> Source:
    """The source as it is. Raises UserError where it does not hold what the run was trained on any
    more; where it was ``asked`` for by name, that is a note of the source, which is printed."""
    written = _written(run.data_file)
    if isinstance(written, str):
        say(f"note: {written}; whether the data have changed since the run began cannot be told")
        return source
    found = differences(written, fingerprint(source))
    if not found:
        return source
    shown = "; ".join(found[:5])
    told = f"{source.spec[:200]}: these {CHANGED} ({run.folder}): {shown}"
    if not asked:
        raise UserError(
            told,
            fix=f"the data as they were; or --data {source.spec}, to score on them as they are, or "
            "a new run on them",
        )
    say(f"note: {told}")
    return replace(source, notes=[*source.notes, f"these {CHANGED}"])


def _files(part: Any, keys: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Those options of a part that are paths and are set, as absolute ones."""
    options = part.options()
    given = options if isinstance(options, Mapping) else options.model_dump()
    return [(k, Path(given[k]).expanduser().resolve()) for k in keys if given[k] is not None]


def _written(file: Path) -> dict[str, Any] | str:
    """The fingerprint that was kept, or why there is none."""
    if not file.is_file():
        return f"there is no {file}"
    if (file.parent / DIGESTS).is_file() and (problem := damage(file.parent, [file.name])):
        return problem
    try:
        with file.open("rb") as handle:
            known = json.loads(handle.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return f"{file} cannot be read"
    return known if isinstance(known, dict) else f"{file} holds no facts of data"
