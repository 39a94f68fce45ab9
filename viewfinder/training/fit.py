"""Train the network of a recipe in a run folder, from the start or from its last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import lightning as L
import numpy as np
import torch
from rich.console import Console

from viewfinder.core.console import say
from viewfinder.core.errors import InterruptedRun
from viewfinder.data.source import Split
from viewfinder.negatives.queue import Queue
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.belonging import own_weights
from viewfinder.runs.checkpoint import WEIGHTS, epochs_done, load_into
from viewfinder.runs.run import Run
from viewfinder.training.assignment import first_clusters, refreshed_clusters
from viewfinder.training.callbacks import Checkpoints, History, Measures, Present, ProgressBar
from viewfinder.training.embedding import Embedding
from viewfinder.training.engine import engine
from viewfinder.training.loader import loader
from viewfinder.training.memory import check_memory
from viewfinder.training.module import Pretraining
from viewfinder.training.resuming import Restored, check_same, going_on
from viewfinder.training.starting import begin
from viewfinder.training.usage import Usage


def network(recipe: Recipe, split: Split) -> Pretraining:
    """The untrained network of a complete recipe; its weights depend on the seed alone."""
    first = first_clusters(recipe, split)
    return Pretraining(recipe, first.z, first.tags, len(split))


def fit(
    recipe: Recipe,
    split: Split,
    run: Run,
    console: Console,
    label: str,
    callbacks: Sequence[L.Callback] = (),
    *,
    history: bool = True,
) -> Pretraining:
    """Train until ``recipe.epochs``; continues from the run's newest checkpoint if it has one, else
    from the weights of another run that it began with, if it did.

    ``callbacks`` are called after the run's own, so they see the clusters of the present epoch.
    ``history`` False: no line is printed for an epoch.
    Raises RunStopped at collapse or NaN, UserError where the data or the checkpoint do not fit.
    Ctrl-C and SIGTERM leave the run ready to be continued and raise InterruptedRun.
    """
    clusters = first_clusters(recipe, split)
    for note in clusters.notes:
        say(f"note: {note}", console)
    check_memory(recipe, clusters.z, clusters.tags, len(split), console)
    module = Pretraining(recipe, clusters.z, clusters.tags, len(split))
    last = run.last_checkpoint()
    if last is not None:
        weights = own_weights(last, recipe, run.role)
        if not recipe.positives.row.refreshed:
            check_same(module, weights, last)
        load_into(module, weights, f"the checkpoint {last / WEIGHTS}")
        if epochs_done(last) >= recipe.epochs:
            return module
    else:
        begin(module, run)
    restored = Restored()
    callbacks = [restored, *callbacks]
    trainer = trainer_for(recipe, split, run, console, label, callbacks, history=history)
    batches = loader(
        split,
        clusters.rows,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        workers=recipe.workers,
        rank=trainer.global_rank,
        world=trainer.world_size,
        sampler=SAMPLERS[recipe.positives.sampler],
        z=partial(_z_now, module),
    )
    if len(batches) * recipe.epochs == 1 and any(isinstance(m, Queue) for m in module.modules()):
        told = "the run has a single step, in which the queue is empty: no step will have negatives"
        say(f"note: {told}; the loss is 0, and nothing is learned. Try: epochs=2", console)
    try:
        with going_on(last, restored):
            trainer.fit(module, batches, ckpt_path=None if last is None else str(last))
    except SystemExit as stop:  # how the engine ends after Ctrl-C
        raise InterruptedRun(run.folder) from stop
    # What follows is done by one process alone; an objective would wait for the others.
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    return module


def _z_now(module: Pretraining) -> np.ndarray | None:
    """Z as it is when an epoch starts."""
    return None if module.clusters is None else module.clusters.cpu().numpy()


def trainer_for(
    recipe: Recipe,
    split: Split,
    run: Run,
    console: Console,
    label: str,
    further: Sequence[L.Callback] = (),
    *,
    history: bool = True,
) -> L.Trainer:
    """The engine with everything a run of this recipe needs around its steps."""
    embedding = Embedding(split.data, recipe.view_maker().frozen, recipe.precision)
    clustering = refreshed_clusters(recipe, split, embedding)
    measures = Measures(embedding, recipe.seed, clustering, alarms=recipe.alarms)
    callbacks: list[L.Callback] = [
        *clustering,
        measures,
        Present(run),
        Usage(run.usage_file),
        History(run.metrics_file, measures, console if history else Console(quiet=True)),
        Checkpoints(run.checkpoints, recipe.checkpoint_every),
        ProgressBar(console, label),
        *further,
    ]
    return engine(recipe, run, callbacks)
