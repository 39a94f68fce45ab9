"""The one training module: five parts tied together, whatever the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from viewfinder.core.learning_rate import Course
from viewfinder.core.randomness import derive, torch_generator
from viewfinder.data.batch import Batch
from viewfinder.networks.frozen_features import evaluating
from viewfinder.networks.network import Outputs
from viewfinder.networks.stages import captured
from viewfinder.objectives.ci_infonce import draw_partners
from viewfinder.objectives.contract import Progress
from viewfinder.objectives.pairs import combined
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.regularizers.contract import EncoderPass
from viewfinder.training.optimizers import build_optimizer, estimators
from viewfinder.training.parts import Parts


class Pretraining(Parts):
    """Views -> networks -> pairs -> objective (+ regularizers), as the recipe says: one step."""

    def on_train_epoch_start(self) -> None:
        for one in set(map(self.negatives_of, range(len(self.view_networks)))):
            one.begin(self.current_epoch)

    def training_step(self, batch: Batch, step: int) -> dict[str, Any]:
        self._seed_networks(step)
        noise = self._generator("noise", step, batch.data.device)
        views = self.views(batch, step)
        index = batch.index[: len(views[0])]
        seen = self.outputs(views, noise)
        target = self.target(views, self.view_networks, self.keys, seen)
        terms = self.score(seen, target, index)
        added = self.regularized(views, seen, noise)
        self.remember(seen, target, index)
        loss = terms.pop("loss")
        if "total" in added:
            terms, loss = {"objective": loss, **terms, **added}, loss + added["total"]
            del terms["total"]
        self.log("loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(index))
        return {"loss": loss, "terms": {name: term.detach() for name, term in terms.items()}}

    def views(self, batch: Batch, step: int) -> list[Tensor]:
        """The views of a batch at a step of the current epoch, each float (N, C, size, size).

        For an objective of partners the first view is of one image, the second of another of its
        cluster: the other half of a batch of pairs, or a partner drawn within a shuffled batch.
        """
        generator = self._generator("views", step, batch.data.device)
        if not self.objective.partners:
            return self.maker(batch.data, generator, batch.sides, batch.factors)
        first = second = torch.arange(len(batch), device=batch.index.device)
        if SAMPLERS[self.recipe.positives.sampler].pairs:
            first, second = first.chunk(2)
        elif self.clusters is not None:
            second = draw_partners(self.clusters[batch.index], generator)
        halves = (first, second)
        sides = batch.sides
        return self.maker(
            [batch.data[rows] for rows in halves],
            generator,
            None if sides is None else [sides[rows] for rows in halves],
        )

    def outputs(self, views: Sequence[Tensor], noise: torch.Generator) -> Outputs:
        """What the online networks make of the views they are shown, each on its own: batch norm
        sees one view at a time."""
        features: dict[int, Tensor] = {}
        stages: dict[str, list[Tensor]] = {}
        for i in self.passing:
            with captured(self.network_of(i).encoder, self.regularization.stages) as given:
                features[i] = self.network_of(i).seen(views[i])
            for stage, outputs in given.items():
                stages.setdefault(stage, []).extend(outputs)
        noisy = self.regularization.noisy(list(features.values()), noise)
        heads = dict(zip(features, noisy, strict=True))
        projected = {i: self.network_of(i).projector(x) for i, x in heads.items()}
        compared: dict[int, Tensor] = {}
        unpredicted: dict[int, Tensor] = {}
        for i, z in projected.items():
            network = self.network_of(i)
            if i in self.queries:
                compared[i] = network.assigner(network.predictor(z))
            same = i in compared and not network.predicts
            unpredicted[i] = compared[i] if same else network.assigner(z)
        return Outputs(features, heads, compared, unpredicted, stages)

    def score(
        self, seen: Outputs, target: Mapping[int, Tensor], index: Tensor
    ) -> dict[str, Tensor]:
        """The objective's terms: of all pairs as one, or of all views together."""
        cluster = self.clusters_of(index)
        given: dict[str, Any] = {
            "index": index,
            "cluster": cluster,
            "tags": None if self.tags is None else self.tags[index],
            "progress": Progress(self.current_epoch, self.recipe.epochs),
            "options": self.objective_options,
        }
        if self.objective.scores == "views":
            online, keys = list(seen.compared.values()), list(target.values())
            return self.objective(online, keys, state=self.state_of(0), **given)
        terms = []
        for i, j in self.pairs:
            query = seen.compared[i]
            negatives = self.negatives_of(j)
            contrast = negatives.propose(query, index, cluster)
            keys = [target[j]] if j in target else []  # else the negatives' memory has it
            given |= {"negatives": contrast, "state": self.state_of(j)}
            terms.append({**self.objective([query], keys, **given), **negatives.said})
        return combined(
            terms,
            summed=self.objective.summed(self.objective_options),
            weights=[self.maker.domains[query].weight for query, _ in self.pairs],
        )

    def regularized(
        self, views: Sequence[Tensor], seen: Outputs, noise: torch.Generator
    ) -> dict[str, Tensor]:
        """What is added to the loss, by name, of the large views that the encoder was shown."""
        large = [i for i in seen.features if i < self.large]
        return self.regularization(
            EncoderPass(
                [views[i] for i in large],
                [seen.features[i] for i in large],
                [seen.noisy[i] for i in large],
                stages=seen.stages,
                generator=noise,
                shown=self.maker.shown,
            )
        )

    def remember(self, seen: Outputs, target: Mapping[int, Tensor], index: Tensor) -> None:
        """After the loss, so that a key is never its own query's negative: the last key of each
        network, or where the keys come from its memory, its last output."""
        cluster = self.clusters_of(index)
        outputs = target or seen.compared
        for i in {self.view_networks[i]: i for i in outputs}.values():
            self.negatives_of(i).update(outputs[i].detach(), index, cluster)

    def _generator(self, purpose: str, step: int, device: torch.device) -> torch.Generator:
        at: Any = {"epoch": self.current_epoch, "step": step, "rank": self.global_rank}
        return torch_generator(self.recipe.seed, purpose, **at, device=device)

    def _seed_networks(self, step: int) -> None:
        """Whatever draws from the global stream (dropout) is derived too: nothing to restore."""
        at: Any = {"epoch": self.current_epoch, "step": step, "rank": self.global_rank}
        seed = derive(self.recipe.seed, "network", **at)
        # torch.manual_seed for the devices that there are: that of all takes half a millisecond
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    @torch.no_grad()
    def decoded(self, views: Sequence[Tensor]) -> list[Tensor]:
        """What a regularizer decodes of views' frozen features, images in [0, 1]; or nothing."""
        made = []
        with evaluating(self):
            for number, view in enumerate(views):
                features = self.network_of(number).encoder(view.to(self.device))
                image = self.regularization.decoded(features, partial(self.maker.shown, i=number))
                made += [] if image is None else [image.float().cpu()]
        return made

    def on_after_backward(self) -> None:
        for one in estimators(self):
            one.estimate()  # type: ignore[operator]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.target.follow(self.online, self.trainer.global_step, self.course.steps)

    @property
    def course(self) -> Course:
        """How long the run is."""
        epochs, steps = self.recipe.epochs, int(self.trainer.estimated_stepping_batches)
        warmup = round(self.recipe.optimizer.warmup_epochs * steps / epochs)
        return Course(steps, warmup, epochs)

    def observe(self, loss: float) -> None:
        """Learn of the mean loss of an epoch that has ended."""
        self.schedule.observe(loss)
        factor = self.schedule(self.trainer.global_step, self.course)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self, self.recipe.optimizer, self.recipe.batch_size)
        course = self.course
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule(step, course)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
