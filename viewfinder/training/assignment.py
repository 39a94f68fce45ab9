"""Z during training: made from the data at the start, or from the network between epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from viewfinder.data.source import Split
from viewfinder.evaluation.features import extract
from viewfinder.positives.registry import POSITIVES, Given, build_clusters
from viewfinder.randomness import derive
from viewfinder.recipe import Recipe
from viewfinder.training.frozen import frozen_view


@dataclass(frozen=True)
class Assignment:
    """Z of the training split, int64 (N,), or None where each image is its own; the positions to
    train on, or None for all; and what the user should know of it."""

    z: np.ndarray | None
    rows: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def first_clusters(recipe: Recipe, split: Split) -> Assignment:
    """Z before the first step; k-means, which needs the network, starts with everything in one
    cluster and is made before the first epoch.

    Raises UserError where the data cannot give what the positives need.
    """
    name = recipe.positives.name
    if name == "instance":
        return Assignment(None)
    if POSITIVES[name].refreshed:
        return Assignment(np.zeros(len(split), dtype=np.int64))
    made = build_clusters(name, Given(split, seed=recipe.seed), recipe.positives.options())
    rows = None if made.keep is None else np.flatnonzero(made.keep)
    return Assignment(made.z, rows, made.notes)


def refreshed_clusters(recipe: Recipe, split: Split) -> list[L.Callback]:
    """The callback that makes Z anew between epochs, for positives that need it."""
    return [Clustering(recipe, split)] if POSITIVES[recipe.positives.name].refreshed else []


class Clustering(L.Callback):
    """Z from the network's own outputs, every so many epochs (CI-InfoNCE, algorithm 1: the E step).

    The first time is before the first epoch, from the untrained network. Every rank clusters the
    same outputs with the same seed and then takes the first rank's Z, so Z is equal on all.
    """

    def __init__(self, recipe: Recipe, split: Split) -> None:
        self.recipe, self.split = recipe, split
        self.view = frozen_view(recipe)
        self.options: Any = recipe.positives.options()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        epoch = trainer.current_epoch
        if epoch % self.options.every:
            return
        module: Any = pl_module
        network: nn.Module = module.encoder
        if self.options.on == "projections":
            network = nn.Sequential(module.encoder, module.projector, Normalize())
        outputs = extract(network, self.split.images, self.view, device=module.device)
        seed = derive(self.recipe.seed, "kmeans", epoch=epoch) % 2**31
        given = Given(self.split, outputs.numpy(), seed)
        z = torch.from_numpy(build_clusters(self.recipe.positives.name, given, self.options).z)
        module.clusters.copy_(trainer.strategy.broadcast(z, src=0))


class Normalize(nn.Module):
    """Rows of unit length."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(x, dim=1)
