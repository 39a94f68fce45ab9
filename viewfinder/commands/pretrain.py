"""``viewfinder pretrain``: train an encoder, score it beside its baselines, write the report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.data.source import Source
from viewfinder.data.splits import identities
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.new_run import is_first_process, new_folder, remove_if_nothing_ran
from viewfinder.runs.opening import training_split, with_data
from viewfinder.runs.run import Run


def completed(recipe: Recipe) -> Recipe:
    """The recipe with what depends on its data, checked against itself and them.

    Notes go to standard error: standard output is for the recipe alone.
    """
    check_parts(recipe)
    return with_data(recipe, Console(emoji=False, stderr=True))[0]


def pretrain(recipe: Recipe, out: Path | None = None) -> Run:
    """A new run in the folder ``out``; None: the next free runs/METHOD-N.

    Raises UserError for a recipe that contradicts itself or its data and for a folder that is not
    empty, and RunStopped at collapse or NaN.

    >>> pretrain(build("simclr", {"epochs": 20}), Path("runs/mine")).folder  # doctest: +SKIP
    PosixPath('runs/mine')
    """
    check_parts(recipe)
    recipe, source = with_data(recipe)
    run = Run(new_folder(out, recipe.method))
    if is_first_process():
        write_atomically(run.recipe_file, recipe.to_yaml())
    try:
        return _train_and_finish(recipe, source, run)
    except UserError:
        remove_if_nothing_ran(run)
        raise


def resume(folder: Path) -> Run:
    """Continue a run where its newest checkpoint stands; the result is as if never interrupted.

    Raises UserError where the folder is no run, or the run needs plug-ins that are not loaded.
    """
    run = Run(folder)
    recipe = run.recipe()
    check_parts(recipe)
    recipe, source = with_data(recipe)
    return _train_and_finish(recipe, source, run)


def _train_and_finish(recipe: Recipe, source: Source, run: Run) -> Run:
    from viewfinder.evaluation.scoring import finish
    from viewfinder.training.fit import fit

    split = training_split(recipe.data, source)
    shape = "x".join(str(side) for side in split.data.shape)
    say(
        f"{recipe.method} on {recipe.data.source}: {len(split):,} {split.data.modality} of "
        f"{shape}, {recipe.epochs} epochs, run folder {run.folder}"
    )
    if is_first_process() and source.held_out and source.test is not None:
        run.keep_held_out(identities(source.test))
    module = fit(recipe, split, run, console(), "pretraining")
    if is_first_process():
        finish(recipe, source, run, module)
    return run
