"""``viewfinder pretrain``: train an encoder, score it beside its baselines, write the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.console import console, say
from viewfinder.core.counted import counted
from viewfinder.core.errors import InterruptedRun, UserError
from viewfinder.data.source import Source
from viewfinder.data.splits import identities
from viewfinder.evaluation.scoring import is_finished
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.in_progress import in_progress
from viewfinder.runs.new_run import is_first_process, new_folder, remove_if_nothing_ran
from viewfinder.runs.opening import is_of_run, training_split, with_data
from viewfinder.runs.origin import keep_origin, origin_of
from viewfinder.runs.own_data import (
    check_there,
    check_unchanged,
    located,
    relocated,
    remember,
)
from viewfinder.runs.own_files import write_recipe
from viewfinder.runs.run import Run


def completed(recipe: Recipe, start: Run | None = None) -> Recipe:
    """The recipe with what depends on its data, checked against itself and them.

    start  the run that it is to begin with
    Notes go to standard error: standard output is for the recipe alone.
    """
    check_parts(recipe)
    return with_data(recipe, console(stderr=True), held_out=_held_out_by(start, recipe))[0]


def pretrain(
    recipe: Recipe, out: Path | None = None, *, start: Run | None = None, partly: bool = False
) -> Run:
    """A new run in the folder ``out``; None: the next free runs/METHOD-N.

    start   a run whose networks it begins with; of the same data the images that were held out
            there are held out here, whatever the seed
    partly  begin with those weights that fit, where not all do

    Raises UserError for a recipe that contradicts itself or its data, for a folder that is not
    empty and for weights that do not fit, and RunStopped at collapse or NaN.

    >>> pretrain(build("simclr", {"epochs": 20}), Path("runs/mine")).folder  # doctest: +SKIP
    PosixPath('runs/mine')
    """
    check_parts(recipe)
    recipe = located(recipe)
    recipe, source = with_data(recipe, held_out=_held_out_by(start, recipe))
    run = Run(new_folder(out, recipe.method))
    with _at_work(run):
        try:
            if is_first_process():
                _check_new(run)
                write_recipe(run, recipe)
                remember(run, source)
                if start is not None:
                    keep_origin(run, start, partly=partly)
                    _keep_held_out(run, source)
            _train_and_finish(recipe, source, run)
        except UserError:
            remove_if_nothing_ran(run)
            raise
    return run


def resume(folder: Path, places: Mapping[str, Any] | None = None) -> Run:
    """Continue a run where its newest checkpoint stands; the result is as if never interrupted.
    One that is finished is left as it is.

    places  where its data lie now, nested: {"data": {"source": "folder:/new/place"}}

    Raises UserError where the folder is no run, another process trains in it, the run needs
    plug-ins that are not loaded, or its data are not there or not the same any more.
    """
    run = Run(folder)
    recipe = run.recipe()
    if places:
        recipe = relocated(recipe, places)
    check_parts(recipe)
    check_there(run, recipe, training=True)
    with _at_work(run):
        # what another run held out was held out here, whatever part this seed would draw
        recipe, source = with_data(recipe, held_out=run.held_out() if origin_of(run) else None)
        check_unchanged(run, source)
        if places and is_first_process():
            write_recipe(run, recipe)
            remember(run, source)
        if is_finished(recipe, source, run):
            say(
                f"{run.folder} is finished: {counted(recipe.epochs, 'epoch')} trained and scored. "
                f"To score it again: viewfinder evaluate {run.folder}. Its report: {run.report}"
            )
        else:
            _train_and_finish(recipe, source, run)
    return run


@contextmanager
def _at_work(run: Run) -> Iterator[None]:
    """Inside, this run is trained by nobody else; an interruption says how it goes on."""
    try:
        with in_progress(run.folder) if is_first_process() else nullcontext():
            yield
    except KeyboardInterrupt as stop:
        raise InterruptedRun(run.folder) from stop


def _held_out_by(start: Run | None, recipe: Recipe) -> np.ndarray | None:
    """The images that the run to begin with held out, where the recipe is of the same data."""
    if start is None or not is_of_run(recipe.data.source, start, start.recipe()):
        return None
    return start.held_out()


def _keep_held_out(run: Run, source: Source) -> None:
    if source.held_out and source.test is not None:
        run.keep_held_out(identities(source.test))


def _check_new(run: Run) -> None:
    """Raise UserError where another process has begun a run of that name at the same moment."""
    if run.recipe_file.exists():
        raise UserError(f"{run.folder} already exists; runs are never overwritten", fix="--out DIR")


def _train_and_finish(recipe: Recipe, source: Source, run: Run) -> None:
    from viewfinder.evaluation.scoring import finish
    from viewfinder.training.fit import fit

    split = training_split(recipe.data, source)
    shape = "x".join(str(side) for side in split.data.shape)
    say(
        f"{recipe.method} on {recipe.data.source}: {len(split):,} {split.data.modality} of "
        f"{shape}, {counted(recipe.epochs, 'epoch')}, run folder {run.folder}"
    )
    if is_first_process():
        _keep_held_out(run, source)
    module = fit(recipe, split, run, console(), "pretraining")
    if is_first_process():
        run.check_present()
        finish(recipe, source, run, module)
        run.check_present()
