"""``viewfinder learn-views``: train a generator of views, write it, its pictures and its curve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfinder.core.console import console, say
from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.data.source import Source, Split, sides_of
from viewfinder.data.sources.table import located_source
from viewfinder.recipes.view_learning import ViewLearning, completed
from viewfinder.runs.in_progress import in_progress
from viewfinder.runs.new_run import is_first_process, new_folder, remove_if_nothing_ran
from viewfinder.runs.opening import open_data, training_split
from viewfinder.runs.own_data import check_unchanged, remember
from viewfinder.runs.view_run import ViewRun

SHOWN = 8
"""Images in the report."""


def learn_views(recipe: ViewLearning, out: Path | None = None) -> ViewRun:
    """A new training of views in the folder ``out``; None: the next free runs/views-N.

    Raises UserError for a recipe that does not fit its data and for a folder that is not empty, and
    RunStopped where the generator collapses or the loss is no number.

    >>> learn_views(build_view_learning("unsupervised")).generator  # doctest: +SKIP
    PosixPath('runs/views-1/generator.safetensors')
    """
    located = recipe.data.model_copy(update={"source": located_source(recipe.data.source)})
    recipe, source, split = with_data(recipe.model_copy(update={"data": located}))
    run = ViewRun(new_folder(out, "views"))
    with _at_work(run):
        try:
            if is_first_process():
                if run.recipe_file.exists():
                    raise UserError(f"{run.folder} already exists", fix="--out DIR")
                write_atomically(run.recipe_file, recipe.to_yaml())
                remember(run, source)
            _learn_and_finish(recipe, split, run)
        except UserError:
            remove_if_nothing_ran(run)
            raise
    return run


def resume(folder: Path) -> ViewRun:
    """Continue a training of views where its newest checkpoint stands; the result is as if it had
    never been interrupted.

    Raises UserError where the folder is none, another process trains in it, or its data are not
    there or not the same any more.
    """
    run = ViewRun(folder)
    recipe = run.recipe()
    with _at_work(run):
        recipe, source, split = with_data(recipe)
        check_unchanged(run, source)
        _learn_and_finish(recipe, split, run)
    return run


def with_data(recipe: ViewLearning) -> tuple[ViewLearning, Source, Split]:
    """The recipe, completed by its data, and these: the split has the labels that may be used.

    Raises UserError where they cannot be opened, are no images, or have no labels where some are
    needed.
    """
    from viewfinder.training.learn_views import used_labels, with_batch_of

    source = open_data(recipe.data, recipe.seed)
    split = training_split(recipe.data, source)
    if split.data.modality != "images":
        raise UserError(
            f"{recipe.data.source} holds {split.data.modality}; a generator parts the channels of "
            "images",
            fix="data=folder:photos",
        )
    recipe = completed(recipe, split.data.shape)
    split = replace(split, labels=used_labels(recipe, split))
    if recipe.batch_size % recipe.processes:
        raise UserError(
            f"batch_size={recipe.batch_size} is over all devices and must be a multiple of "
            f"{recipe.processes}"
        )
    fitting = with_batch_of(recipe, split)
    if fitting.batch_size < recipe.batch_size:
        say(
            f"note: batch_size={recipe.batch_size} is more than there are images to make a batch "
            f"of: {fitting.batch_size} is used"
        )
    return fitting, source, split


@contextmanager
def _at_work(run: ViewRun) -> Iterator[None]:
    """Inside, this folder is used by nobody else; an interruption says how it goes on."""
    from viewfinder.training.learn_views import interrupted

    try:
        with in_progress(run.folder) if is_first_process() else nullcontext():
            yield
    except KeyboardInterrupt as stop:
        raise interrupted(run) from stop


def _learn_and_finish(recipe: ViewLearning, split: Split, run: ViewRun) -> None:
    from viewfinder.report.learned_views import write_report
    from viewfinder.training.learn_views import learn
    from viewfinder.views.learned_space import save

    shape = "x".join(str(side) for side in split.data.shape)
    labelled = "" if split.labels is None else f", {int((split.labels >= 0).sum()):,} with a label"
    say(
        f"{recipe.method} views of {recipe.data.source}: {len(split):,} images of {shape}"
        f"{labelled}, {counted(recipe.epochs, 'epoch')}, folder {run.folder}"
    )
    module = learn(recipe, split, run, console())
    if not is_first_process():
        return
    run.check_present()
    module = module.cpu().eval()
    save(module.space, run.generator)
    rows = np.arange(min(SHOWN, len(split)))
    images = split.data.read(rows)
    (seen,) = module.maker.frozen(images, sides_of(split.data, rows)).values()
    write_report(run, recipe, seen, module.space)
    steps = f"[{{crop: [0.2, 1]}},flip,{{learned: {run.generator}}}]"
    say(f"{run.generator} and {run.report.name} written. Views of it are a step and a split:")
    say(f'viewfinder pretrain cmc "views.steps={steps}" data={recipe.data.source}')
