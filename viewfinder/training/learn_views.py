"""Train the generator of a recipe of views in its folder, from the start or a checkpoint."""

from __future__ import annotations

import lightning as L
from rich.console import Console

from viewfinder.core.errors import InterruptedRun
from viewfinder.data.source import Split
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


def interrupted(run: Run) -> InterruptedRun:
    """What says how the training goes on."""
    return InterruptedRun(run.folder, f"viewfinder learn-views --resume {run.folder}")


def _sampler(goal: Goal) -> Sampler:
    if not goal.labels:
        return SHUFFLE
    return LABELLED_ALONE if goal.only else HALF_LABELLED
