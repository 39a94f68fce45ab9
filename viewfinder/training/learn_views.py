"""Train the generator of a recipe of views in its folder, from the start or a checkpoint."""

from __future__ import annotations

import math

import lightning as L
import numpy as np
from rich.console import Console

from viewfinder.core.errors import InterruptedRun, UserError
from viewfinder.core.randomness import numpy_generator
from viewfinder.data.source import Split
from viewfinder.data.splits import few_labels
from viewfinder.positives.labelled import HALF_LABELLED, LABELLED_ALONE
from viewfinder.positives.sampler import SHUFFLE, Sampler
from viewfinder.recipes.view_learning import Goal, ViewLearning
from viewfinder.runs.belonging import own_weights
from viewfinder.runs.checkpoint import WEIGHTS, epochs_done, load_into
from viewfinder.runs.run import Run
from viewfinder.training.callbacks import Checkpoints, History, Present, ProgressBar
from viewfinder.training.engine import engine
from viewfinder.training.loader import loader
from viewfinder.training.resuming import Restored, going_on
from viewfinder.training.view_learning import ViewTraining
from viewfinder.training.view_measures import GeneratorMeasures


def learn(
    recipe: ViewLearning, split: Split, run: Run, console: Console, *, history: bool = True
) -> ViewTraining:
    """Train until ``recipe.epochs``; continues from the run's newest checkpoint if it has one.

    split    its labels are those that may be used, -1 elsewhere
    history  False: no line is printed for an epoch

    Raises RunStopped where the generator collapses or the loss is no number, UserError where the
    data or the checkpoint do not fit, InterruptedRun at Ctrl-C.
    """
    classes = 0 if split.labels is None else int(split.labels.max()) + 1
    module = ViewTraining(recipe, classes)
    last = run.last_checkpoint()
    if last is not None:
        weights = own_weights(last, recipe, run.role)
        load_into(module, weights, f"the checkpoint {last / WEIGHTS}")
        if epochs_done(last) >= recipe.epochs:
            return module
    restored = Restored()
    measures = GeneratorMeasures(split, recipe.seed, alarms=recipe.alarms)
    callbacks: list[L.Callback] = [
        measures,
        Present(run),
        History(run.metrics_file, measures, console if history else Console(quiet=True)),
        Checkpoints(run.checkpoints, recipe.checkpoint_every),
        ProgressBar(console, "learning views"),
        restored,
    ]
    trainer = engine(recipe, run, callbacks)
    batches = loader(
        split,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        workers=recipe.workers,
        rank=trainer.global_rank,
        world=trainer.world_size,
        sampler=_sampler(recipe.goal),
        z=lambda: split.labels,
    )
    try:
        with going_on(last, restored):
            trainer.fit(module, batches, ckpt_path=None if last is None else str(last))
    except SystemExit as stop:  # how the engine ends after Ctrl-C
        raise interrupted(run) from stop
    return module


def used_labels(recipe: ViewLearning, split: Split) -> np.ndarray | None:
    """The labels that the recipe lets be used, int64 (N,), -1 elsewhere: drawn by the seed, of each
    class its share. None where it uses none."""
    if not recipe.goal.labels:
        if recipe.labelled is not None:
            raise UserError(
                f"labelled={recipe.labelled}, but {recipe.method} uses no labels",
                fix="semi-supervised, or without labelled",
            )
        return None
    labels = None if split.labels is None else split.labels.astype(np.int64)
    known = 0 if labels is None else int((labels >= 0).sum())
    if labels is None or known == 0:
        raise UserError(
            f"{recipe.method} learns from labels, and {recipe.data.source} has none",
            fix="data.labels=labels.csv, or the method unsupervised",
        )
    asked = recipe.labelled
    count = known if asked is None else round(asked * known) if isinstance(asked, float) else asked
    classes = len(np.unique(labels[labels >= 0]))
    if not classes <= count <= known:
        raise UserError(
            f"labelled={asked} is {count} images; {recipe.data.source} has {known} with a label, "
            f"of {classes} classes",
            fix=f"labelled={min(known, max(classes, 100))}",
        )
    return few_labels(labels, count, numpy_generator(recipe.seed, "labelled"))


def with_batch_of(recipe: ViewLearning, split: Split) -> ViewLearning:
    """The recipe with a batch that the data fill: of labelled images alone where no others are
    used. Raises UserError for fewer than two images."""
    rows = len(split)
    if recipe.goal.only and split.labels is not None:
        rows = int((split.labels >= 0).sum())
    size = recipe.batch_size
    if size > rows:
        size = 2 ** int(math.log2(max(1, rows)))
        size -= size % recipe.processes
    if size < 2:
        raise UserError(f"{rows} images are too few to learn views with", fix="more images")
    return recipe.model_copy(update={"batch_size": size})


def interrupted(run: Run) -> InterruptedRun:
    """What says how the training goes on."""
    return InterruptedRun(run.folder, f"viewfinder learn-views --resume {run.folder}")


def _sampler(goal: Goal) -> Sampler:
    if not goal.labels:
        return SHUFFLE
    return LABELLED_ALONE if goal.only else HALF_LABELLED
