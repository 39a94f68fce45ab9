"""The one training module: five parts tied together, whatever the method."""

from __future__ import annotations

import copy
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.data.batch import Batch
from viewfinder.encoders.heads import head
from viewfinder.negatives.queue import Queue
from viewfinder.objectives.registry import find
from viewfinder.randomness import derive, torch_generator
from viewfinder.recipe import Recipe
from viewfinder.training.momentum import ema_update
from viewfinder.training.optimizers import build_optimizer
from viewfinder.training.run import initial_weights, new_encoder
from viewfinder.schedules import cosine_momentum, warmup_cosine
from viewfinder.views.augment import make_views


class Pretraining(L.LightningModule):
    """Views -> encoder -> projector (-> predictor) -> objective, as the recipe says.

    recipe    a complete recipe (``viewfinder.recipe.complete``)
    clusters  Z, int64 (N,): the cluster of each image of the training split, from 0; None where
              each image is its own. It is a buffer, so checkpoints hold it, and every rank has it

    ``encoder`` maps float (N, C, size, size) to features (N, ``feature_dim``). The target network,
    the queue and all else with state is a submodule or buffer, so checkpoints hold it.
    """

    def __init__(self, recipe: Recipe, clusters: np.ndarray | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        self.objective = find(recipe.objective.name)
        self.objective_options = recipe.objective.options()
        self.augmentations = recipe.views.augmentations()
        self.clusters: Tensor | None
        self.register_buffer("clusters", None if clusters is None else torch.from_numpy(clusters))
        with initial_weights(recipe.seed):
            self.encoder, self.feature_dim = new_encoder(recipe)
            self._build_heads(None if clusters is None else int(clusters.max()) + 1)

    def _build_heads(self, classes: int | None) -> None:
        recipe = self.recipe
        if self.objective.outputs == "classes":
            assert classes is not None, (
                "the objective predicts classes, and their number is not given"
            )
            units = [classes]
        else:
            units = list(recipe.head.projector)
        self.projector = head(self.feature_dim, units, batch_norm=recipe.head.batch_norm)
        self.predictor: nn.Module = nn.Identity()
        if recipe.head.predictor:
            self.predictor = head(
                units[-1], recipe.head.predictor, batch_norm=recipe.head.batch_norm
            )
        self.target: nn.Module | None = None
        if recipe.target.name == "momentum":
            online = nn.Sequential(self.encoder, self.projector)
            self.target = copy.deepcopy(online).requires_grad_(False)
        self.queue: Queue | None = None
        if recipe.negatives.name == "queue":
            self.queue = Queue(recipe.negatives.size, units[-1])

    def views(self, batch: Batch, step: int) -> list[Tensor]:
        """The views of a batch at a step of the current epoch, each float (N, C, size, size)."""
        generator = torch_generator(
            self.recipe.seed,
            "views",
            epoch=self.current_epoch,
            step=step,
            rank=self.global_rank,
            device=batch.images.device,
        )
        return make_views(batch.images, self.augmentations, generator)

    def training_step(self, batch: Batch, step: int) -> Tensor:
        # Whatever draws from the global stream (dropout) is derived too: nothing to restore.
        torch.manual_seed(
            derive(
                self.recipe.seed,
                "network",
                epoch=self.current_epoch,
                step=step,
                rank=self.global_rank,
            )
        )
        views = self.views(batch, step)
        online, target = self.project(views)
        queue = self.queue
        cluster = None if self.clusters is None else self.clusters[batch.index]
        terms = self.objective(
            online,
            target,
            index=batch.index,
            cluster=cluster,
            negatives=None if queue is None else queue.propose(online[0], batch.index),
            options=self.objective_options,
        )
        if queue is not None:  # after the loss: a key is never its own query's negative
            queue.update(target[-1].detach(), batch.index, cluster)
        loss = terms["loss"]
        self.log("loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(batch))
        return loss

    def project(self, views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Online outputs and targets, one (N, D) tensor a view.

        Views of one shape go through the network together, so batch norm sees them all. An
        objective that compares the first view with the second alone costs one pass each.
        """
        one_way = self.objective.one_way(self.objective_options)
        anchors = views[:1] if one_way else views
        if self.target is None:
            projected = self._together(nn.Sequential(self.encoder, self.projector), views)
            target = projected
            if self.recipe.target.name == "detached":
                target = [z.detach() for z in projected]
            online = projected[: len(anchors)]
        else:
            online = self._together(nn.Sequential(self.encoder, self.projector), anchors)
            with torch.no_grad():
                keys = views[1:] if one_way else views
                target = self._together(self.target, keys)
        return [self.predictor(z) for z in online], target

    @staticmethod
    def _together(network: nn.Module, views: list[Tensor]) -> list[Tensor]:
        if len(views) == 1:
            return [network(views[0])]
        return list(network(torch.cat(views)).chunk(len(views)))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.target is None:
            return
        part = self.recipe.target
        momentum = cosine_momentum(
            self.trainer.global_step, self.total_steps, part.momentum, part.final_momentum
        )
        ema_update(self.target, nn.Sequential(self.encoder, self.projector), momentum)

    @property
    def total_steps(self) -> int:
        return int(self.trainer.estimated_stepping_batches)

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self, self.recipe.optimizer, self.recipe.batch_size)
        steps_an_epoch = self.total_steps / self.recipe.epochs
        part = self.recipe.optimizer
        warmup = round(part.warmup_epochs * steps_an_epoch)

        def factor(step: int) -> float:
            # The end is reached after the last step, so no step is wasted at a rate of 0.
            return warmup_cosine(step, self.total_steps, warmup, part.final_lr, include_end=False)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
