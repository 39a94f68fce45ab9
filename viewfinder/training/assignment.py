"""Z during training: made from the data at the start, or from the network between epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.randomness import derive
from viewfinder.data.source import Split
from viewfinder.objectives.contract import Kind
from viewfinder.objectives.pcl import Clusterings, concentration
from viewfinder.objectives.similarity import unit
from viewfinder.objectives.table import find
from viewfinder.positives.kmeans import KMeans
from viewfinder.positives.table import (
    POSITIVES,
    Given,
    build_clusterings,
    build_clusters,
    tags_of,
)
from viewfinder.recipes.recipe import Recipe
from viewfinder.training.embedding import Embedding


@dataclass(frozen=True)
class Assignment:
    """What counts as the same among the images of the training split.

    z      int64 (N,), or (N, M) for M clusterings; None where each image is its own
    tags   bool (N, T), where images are the same as far as they share tags
    rows   the positions to train on; None: all
    notes  what the user should know of it
    """

    z: np.ndarray | None = None
    tags: np.ndarray | None = None
    rows: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def kind_of_positives(recipe: Recipe) -> Kind:
    """In which form the positives of a recipe reach its objective."""
    if recipe.positives.name == "instance":
        return "instance"
    if recipe.positives.name == "tags":
        return "tags"
    several = recipe.positives.name == "kmeans" and find(recipe.objective.name).positives == (
        "clusterings",
    )
    return "clusterings" if several else "clusters"


def first_clusters(recipe: Recipe, split: Split) -> Assignment:
    """Z before the first step. That of k-means, which needs the network, is made before the epoch
    it starts with; until then each image is its own.

    Raises UserError where the data cannot give what the positives need.
    """
    name, kind = recipe.positives.name, kind_of_positives(recipe)
    options: Any = recipe.positives.options()
    if kind == "instance":
        return Assignment()
    if kind == "tags":
        known = tags_of(split, options)
        return Assignment(tags=known.matrix, notes=known.notes)
    if POSITIVES[name].refreshed:
        own = np.arange(len(split))
        if kind == "clusterings":
            return Assignment(np.stack([own % k for k in options.sizes], axis=1))
        if find(recipe.objective.name).outputs == "classes":
            return Assignment(own % options.sizes[0])  # one output a cluster, not one an image
        return Assignment(own)
    made = build_clusters(name, Given(split, seed=recipe.seed), options)
    rows = None if made.keep is None else np.flatnonzero(made.keep)
    return Assignment(made.z, rows=rows, notes=made.notes)


def refreshed_clusters(recipe: Recipe, split: Split, embedding: Embedding) -> list[Clustering]:
    """The callback that makes Z anew between epochs, for positives that need it."""
    if not POSITIVES[recipe.positives.name].refreshed:
        return []
    return [Clustering(recipe, split, embedding)]


class Clustering(L.Callback):
    """Z from the network's own outputs, every so many epochs (CI-InfoNCE, algorithm 1: the E step).

    The first time is before the first epoch, from the untrained network. The first rank clusters,
    the others take its Z. For clusterings with prototypes (PCL) centroids and densities go into the
    state of the objective. The embedding that is clustered serves the collapse measures too.
    """

    def __init__(self, recipe: Recipe, split: Split, embedding: Embedding) -> None:
        self.recipe, self.split, self.embedding = recipe, split, embedding
        self.options: Any = recipe.positives.options()

    def due(self, epoch: int) -> bool:
        """Whether clusters are made before that epoch, counted from 0."""
        since = epoch - self.options.start
        return since >= 0 and since % self.options.every == 0 and epoch < self.recipe.epochs

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.due(trainer.current_epoch):
            return
        module: Any = pl_module
        made = self._clustered(module, trainer) if trainer.is_global_zero else None
        self.embedding.forget()
        sent: Any = trainer.strategy.broadcast(made, src=0)
        z, prototypes = sent
        module.clusters.copy_(z)
        module.relabel()
        for m, (centroids, density) in enumerate(prototypes):
            module.state.set(m, centroids, density)

    def _clustered(
        self, module: Any, trainer: L.Trainer
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Z, and the centroids and densities of each clustering, where the objective has them."""
        outputs = self._outputs(module, trainer)
        seed = derive(self.recipe.seed, "kmeans", epoch=trainer.current_epoch) % 2**31
        given = Given(self.split, outputs.numpy(), seed)
        if not isinstance(module.state, Clusterings):
            name = self.recipe.positives.name
            return torch.from_numpy(build_clusters(name, given, self.options).z), []
        made = build_clusterings(given, self.options)
        o = module.objective_options
        z = np.stack([m.clusters.z for m in made], axis=1)
        return torch.from_numpy(z), [_prototypes(m, o.density, o.smoothing) for m in made]

    def _outputs(self, module: Any, trainer: L.Trainer) -> Tensor:
        """Features of all images, or projections of unit length, (N, D)."""
        encoder, projector = module.encoder, module.projector
        if module.target is not None:
            encoder, projector = module.target[0], module.target[1]
        features = self.embedding(encoder, trainer.global_step, module.device)
        if self.options.on == "features":
            return features
        return projected(projector, features, module.device)


@torch.no_grad()
def projected(projector: nn.Module, features: Tensor, device: torch.device) -> Tensor:
    """Projections of unit length of frozen features (N, D), on the CPU."""
    training = projector.training
    projector.eval()
    blocks = [unit(projector(block.to(device))).float().cpu() for block in features.split(4096)]
    projector.train(training)
    return torch.cat(blocks)


def _prototypes(made: KMeans, density: float, smoothing: float) -> tuple[Tensor, Tensor]:
    """Centroids and densities of one clustering, from the distances of its members."""
    centroids = torch.from_numpy(made.centroids)
    distance, z = torch.from_numpy(made.distance), torch.from_numpy(made.clusters.z)
    phi = concentration(distance.clamp(min=0), z, len(centroids), density, smoothing=smoothing)
    return centroids, phi
