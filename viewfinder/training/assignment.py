"""Z during training: made from the data at the start, or from the network between epochs."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch

from viewfinder.core.randomness import derive
from viewfinder.data.source import Split
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.contract import Given, Kind, RefreshedOptions
from viewfinder.recipes.recipe import Recipe
from viewfinder.training.embedding import Embedding, network_outputs


def first_clusters(recipe: Recipe, split: Split) -> Assignment:
    """Z before the first step. One that needs the network is made before the epoch it starts with;
    until then each image is its own.

    Raises UserError where the data cannot give what the positives need.
    """
    row, options = recipe.positives.row, recipe.positives.options()
    if row.refreshed:
        return Assignment(clusters_until_made(recipe, len(split)))
    return row.assign(options, Given(split, seed=recipe.seed, kind=_kind(recipe)))


def refreshed_clusters(recipe: Recipe, split: Split, embedding: Embedding) -> list[Clustering]:
    """The callback that makes Z anew between epochs, for positives that need it."""
    return [Clustering(recipe, split, embedding)] if recipe.positives.row.refreshed else []


class Clustering(L.Callback):
    """Z from the network's own outputs, every so many epochs (CI-InfoNCE, algorithm 1: the E step).

    The first time is before the first epoch, from the untrained network. The first rank makes it,
    the others take its Z. The embedding that is clustered serves the collapse measures too.
    """

    def __init__(self, recipe: Recipe, split: Split, embedding: Embedding) -> None:
        self.recipe, self.split, self.embedding = recipe, split, embedding
        options = recipe.positives.options()
        assert isinstance(options, RefreshedOptions)  # the table sees to it
        self.options: RefreshedOptions = options

    def due(self, epoch: int) -> bool:
        """Whether clusters are made before that epoch, counted from 0."""
        return epoch < self.recipe.epochs and self.options.due(epoch)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.due(trainer.current_epoch):
            return
        module: Any = pl_module
        made = self._made(module, trainer) if trainer.is_global_zero else None
        self.embedding.forget()
        sent: Any = trainer.strategy.broadcast(made, src=0)
        module.renew_clusters(torch.from_numpy(sent.z), sent.centroids)

    def _made(self, module: Any, trainer: L.Trainer) -> Assignment:
        def features(encoder: torch.nn.Module) -> torch.Tensor:
            return self.embedding(encoder, trainer.global_step, module.device)

        outputs = network_outputs(module, self.options.on, features)
        row = self.recipe.positives.row
        seed = derive(self.recipe.seed, row.name, epoch=trainer.current_epoch) % 2**31
        return row.assign(
            self.options, Given(self.split, outputs.numpy(), seed, _kind(self.recipe))
        )


def _kind(recipe: Recipe) -> Kind:
    """In which form the positives of a recipe reach its objective."""
    kind = recipe.positives.row.kind(OBJECTIVES[recipe.objective.name].positives)
    assert kind is not None  # checked before anything runs
    return kind


def clusters_until_made(recipe: Recipe, n: int) -> np.ndarray:
    """Z until the network has been clustered: each of the n images its own, as far as there is room
    for so many."""
    own, sizes = np.arange(n), recipe.positives.sizes
    if _kind(recipe) == "clusterings":
        return np.stack([own] * len(sizes), axis=1)
    if OBJECTIVES[recipe.objective.name].outputs == "classes":
        return own % sizes[0]  # one output for each cluster, not for each image
    return own
