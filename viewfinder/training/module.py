"""The one training module: five parts tied together, whatever the method."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import derive, torch_generator
from viewfinder.core.schedules import cosine_momentum, warmup_cosine
from viewfinder.data.batch import Batch
from viewfinder.negatives.queue import Queue
from viewfinder.networks.encoders import feature_dim
from viewfinder.networks.frozen_features import evaluating
from viewfinder.networks.heads import head
from viewfinder.networks.momentum import ema_update
from viewfinder.networks.stages import captured
from viewfinder.objectives.ci_infonce import draw_partners
from viewfinder.objectives.contract import Progress
from viewfinder.objectives.table import find
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.run import initial_weights, new_encoder
from viewfinder.training.optimizers import build_optimizer
from viewfinder.training.regularization import Regularization


class Pretraining(L.LightningModule):
    """Views -> encoder -> projector (-> predictor) -> objective, as the recipe says.

    recipe    a complete recipe (``viewfinder.recipes.recipe.complete``)
    clusters  Z, int64 (N,): the cluster of each image of the training split, from 0, or (N, M) for
              M clusterings; None where each image is its own. It is a buffer, so checkpoints hold
              it, and every rank has it
    tags      bool (N, T), which tags each image has, where images are alike as far as their tags

    ``encoder`` maps float (N, C, size, size) to features (N, ``feature_dim``). The target network,
    the queue, the objective's prototypes and all else with state is a submodule or buffer, so
    checkpoints hold it.
    """

    def __init__(
        self, recipe: Recipe, clusters: np.ndarray | None = None, tags: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.objective = find(recipe.objective.name)
        self.objective_options = recipe.objective.options()
        self.maker = recipe.view_maker()
        self.clusters: Tensor | None
        self.tags: Tensor | None
        self.register_buffer("clusters", None if clusters is None else torch.from_numpy(clusters))
        self.register_buffer("tags", None if tags is None else torch.from_numpy(tags))
        # Every process has these from the start and from each clustering: not sent with every step.
        self._ddp_params_and_buffers_to_ignore = ["clusters", "tags"]
        with initial_weights(recipe.seed):
            self.encoder, self.feature_dim = new_encoder(recipe)
            self._check_small_views()
            self._build_heads(None if clusters is None else int(clusters.max()) + 1)

    def _check_small_views(self) -> None:
        """Raise UserError where the encoder takes images of one size only."""
        part, channels = self.recipe.views, self.recipe.data.channels
        if not part.small_count:
            return
        assert part.small_size is not None and channels is not None, "the recipe is not complete"
        try:
            feature_dim(self.encoder, self.recipe.encoder.name, channels, part.small_size)
        except UserError as error:
            raise UserError(
                f"views.small_count={part.small_count}: {error}", fix="views.small_count=0"
            ) from error

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
        self.assigner: nn.Module = nn.Identity()
        if self.objective.assigner is not None:
            self.assigner = self.objective.assigner(self.objective_options, units[-1])
        self.state: nn.Module | None = None
        if self.objective.state is not None:
            sizes = getattr(recipe.positives.options(), "sizes", ())
            self.state = self.objective.state(self.objective_options, units[-1], sizes)
        self.regularization = Regularization(recipe, self.encoder, self.feature_dim)
        self.target: nn.Module | None = None
        if recipe.target.name == "momentum":
            self.target = copy.deepcopy(self._online()).requires_grad_(False)
        self.queue: Queue | None = None
        if recipe.negatives.name == "queue":
            self.queue = Queue(recipe.negatives.size, units[-1])

    def _online(self) -> nn.Sequential:
        """What a momentum network follows: from images to what the objective compares."""
        return nn.Sequential(self.encoder, self.projector, self.assigner)

    def _generator(self, purpose: str, step: int, device: torch.device) -> torch.Generator:
        return torch_generator(
            self.recipe.seed,
            purpose,
            epoch=self.current_epoch,
            step=step,
            rank=self.global_rank,
            device=device,
        )

    def views(self, batch: Batch, step: int) -> list[Tensor]:
        """The views of a batch at a step of the current epoch, each float (N, C, size, size).

        For an objective of pairs the first view is of one image, the second of another of its
        cluster: the other half of a batch of pairs, or a partner drawn within a shuffled batch.
        """
        generator = self._generator("views", step, batch.images.device)
        if not self.objective.pairs:
            return self.maker(batch.images, generator)
        x = y = batch.images
        if self.recipe.positives.sampler == "clusters":
            x, y = batch.images.chunk(2)
        elif self.clusters is not None:
            y = batch.images[draw_partners(self.clusters[batch.index], generator)]
        return self.maker([x, y], generator)

    def training_step(self, batch: Batch, step: int) -> dict[str, Any]:
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
        index = batch.index[: len(views[0])]
        online, target, added = self.project(views, step)
        queue = self.queue
        cluster = None
        if self.clusters is not None and not self.objective.pairs:
            cluster = self.clusters[index]
        terms = self.objective(
            online,
            target,
            index=index,
            cluster=cluster,
            tags=None if self.tags is None else self.tags[index],
            negatives=None if queue is None else queue.propose(online[0], index),
            state=self.state,
            progress=Progress(self.current_epoch, self.recipe.epochs),
            options=self.objective_options,
        )
        if queue is not None:  # after the loss: a key is never its own query's negative
            known = cluster if cluster is not None and cluster.ndim == 1 else None
            queue.update(target[-1].detach(), index, known)
        loss = terms.pop("loss")
        if "total" in added:
            terms, loss = {"objective": loss, **terms, **added}, loss + added["total"]
            del terms["total"]
        self.log("loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(index))
        return {"loss": loss, "terms": {name: term.detach() for name, term in terms.items()}}

    def project(
        self, views: list[Tensor], step: int
    ) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
        """Online outputs and targets, one (N, D) tensor a view, and what is added to the loss.

        Each view goes through the network on its own, so batch norm sees one view at a time. An
        objective that compares the first view with the second alone costs one pass each. Targets
        are of the large views.
        """
        large = self.recipe.views.count
        one_way = self.objective.one_way(self.objective_options)
        seen = views[:1] if one_way and self.target is not None else views
        generator = self._generator("noise", step, views[0].device)
        with captured(self.encoder, self.regularization.stages) as stages:
            features = [self.encoder(view) for view in seen]
        noisy = self.regularization.noisy(features, generator)
        added = self.regularization(
            seen[:large], features[:large], noisy[:large], stages, generator
        )
        projected = [self.projector(x) for x in noisy]
        online = [self.assigner(self.predictor(z)) for z in projected]
        if self.target is not None:
            with torch.no_grad():
                keys = views[large - 1 : large] if one_way else views[:large]
                target = [self.target(view) for view in keys]
        else:
            target = [self.assigner(z) for z in projected] if self.recipe.head.predictor else online
            target = target[:large]
            if self.recipe.target.name == "detached":
                target = [z.detach() for z in target]
        return (online[:1] if one_way else online), target, added

    @torch.no_grad()
    def decoded(self, views: Sequence[Tensor]) -> list[Tensor]:
        """What RC's decoder makes of views' frozen features; nothing without RC."""
        with evaluating(self):
            return [
                image.float().cpu()
                for view in views
                if (image := self.regularization.decoded(self.encoder(view.to(self.device))))
                is not None
            ]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.target is None:
            return
        part = self.recipe.target
        momentum = cosine_momentum(
            self.trainer.global_step, self.total_steps, part.momentum, part.final_momentum
        )
        ema_update(self.target, self._online(), momentum)

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
