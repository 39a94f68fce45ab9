"""The one training module: five parts tied together, whatever the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.core.learning_rate import Course
from viewfinder.core.randomness import derive, torch_generator
from viewfinder.data.batch import Batch
from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives.contract import Negatives
from viewfinder.networks.encoders import feature_dim
from viewfinder.networks.frozen_features import evaluating
from viewfinder.networks.network import Network, Outputs
from viewfinder.networks.stages import captured
from viewfinder.objectives.ci_infonce import draw_partners
from viewfinder.objectives.contract import Progress
from viewfinder.objectives.pairs import combined, pairs_of
from viewfinder.positives.assignment import Centroids
from viewfinder.positives.contract import KeepsClusters
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.recipes.recipe import Recipe
from viewfinder.regularizers.contract import EncoderPass
from viewfinder.regularizers.regularization import Regularization
from viewfinder.runs.run import initial_weights, new_encoder, one_encoder
from viewfinder.training.optimizers import build_optimizer, estimators


class Pretraining(L.LightningModule):
    """Views -> networks -> pairs -> objective (+ regularizers), as the recipe says.

    recipe    a complete recipe (``viewfinder.recipes.recipe.complete``)
    clusters  Z, int64 (N,): the cluster of each image of the training split, from 0, or (N, M) for
              M clusterings; None where each image is its own. It is a buffer, so checkpoints hold
              it, and every rank has it
    tags      bool (N, T), which tags each image has, where images are alike as far as their tags
    n         how many images there are, for negatives that keep one entry per image

    ``networks`` holds an encoder and heads for each domain of the views. Whatever has state is a
    submodule or buffer, so checkpoints hold it.
    """

    def __init__(
        self,
        recipe: Recipe,
        clusters: np.ndarray | None = None,
        tags: np.ndarray | None = None,
        n: int = 0,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.objective = recipe.objective.row
        self.objective_options = recipe.objective.options()
        self.maker = recipe.view_maker()
        self.large = self.maker.count
        self.view_networks = [domain.network for domain in self.maker.domains]
        self.pairs = []
        if self.objective.scores == "pairs":
            pairing = recipe.objective.pairs or self.objective.pairing
            self.pairs = pairs_of(self.objective, pairing, self.view_networks, self.large)
        self.clusters: Tensor | None
        self.tags: Tensor | None
        self.register_buffer("clusters", None if clusters is None else torch.from_numpy(clusters))
        self.register_buffer("tags", None if tags is None else torch.from_numpy(tags))
        with initial_weights(recipe.seed):
            self._build(None if clusters is None else int(clusters.max()) + 1)
        self._build_negatives(n)
        self.schedule = recipe.schedule.row.build(recipe.schedule.options())
        # Every process has these from the start and from each clustering, or estimates them itself:
        # not sent with every step.
        own = {id(p) for one in estimators(self) for p in one.parameters()}
        named = [name for name, p in self.named_parameters() if id(p) in own]
        kept = [f"negatives.{name}" for name, _ in self.negatives.named_buffers()]
        self._ddp_params_and_buffers_to_ignore = ["clusters", "tags", *named, *kept]

    def _build(self, classes: int | None) -> None:
        recipe, row, options = self.recipe, self.objective, self.objective_options
        made: dict[str, Network] = {}
        for name, domain in self.domains.items():
            if not made:
                made[name] = self._network(domain, classes)
            else:
                with initial_weights(recipe.seed, name):
                    made[name] = self._network(domain, classes)
        self.networks = nn.ModuleDict(made)
        self._encoder = (one_encoder({name: one.encoder for name, one in made.items()}),)
        main = next(iter(made.values()))
        self.state: nn.Module | None = None
        if row.state is not None:
            self.state = row.state(options, main.dim, recipe.positives.sizes)
        self.regularization = Regularization(
            recipe.regularizers.chosen,
            recipe.regularizers.sigma,
            self._spec(next(iter(made))),
            main.encoder,
        )
        self.target = recipe.target.row.build(recipe.target.options(), self.online)

    def _network(self, domain: Domain, classes: int | None) -> Network:
        """Encoder and heads of one domain."""
        recipe, row = self.recipe, self.objective
        encoder, width = new_encoder(recipe, domain)
        self._check_further_views(encoder, domain)
        units = list(recipe.head.projector)
        if row.outputs == "classes":
            assert classes is not None, "the number of classes is not given"
            units = [classes]
        made = Network(encoder, width, units, recipe.head.predictor, recipe.head.batch_norm)
        if row.assigner is not None:
            made.assigner = row.assigner(self.objective_options, made.dim)
        return made

    def _check_further_views(self, encoder: nn.Module, first: Domain) -> None:
        """Raise UserError where the encoder does not take the network's further, smaller views."""
        for domain in dict.fromkeys(self.maker.domains):
            if domain.network != first.network or domain.shape == first.shape:
                continue
            try:
                feature_dim(encoder, str(self.recipe.encoder), domain)
            except UserError as error:
                count = self.recipe.views.small_count
                raise UserError(
                    f"views.small_count={count}: {error}", fix="views.small_count=0"
                ) from error

    def _build_negatives(self, n: int) -> None:
        """What each network's outputs are contrasted against; draws depend on the seed alone."""
        row, options = self.recipe.negatives.row, self.recipe.negatives.options()
        made = {name: row.build(options, self._spec(name, n)) for name in self.domains}
        self.negatives = nn.ModuleDict(made)
        self.relabel()

    def _spec(self, name: str, n: int = 0) -> Spec:
        """What a part that belongs to a network will meet."""
        network = self.online[name]
        return Spec(
            self.domains[name],
            domains=self.maker.domains,
            n=n,
            feature_dim=network.feature_dim,
            dim=network.dim,
            seed=self.recipe.seed,
        )

    def relabel(self) -> None:
        """Tell whoever keeps clusters that Z is new."""
        if self.clusters is not None and self.clusters.ndim == 1:
            for one in self.negatives.values():
                one.relabel(self.clusters)  # type: ignore[operator]

    @property
    def online(self) -> dict[str, Network]:
        """The trained networks by name."""
        return {name: one for name, one in self.networks.items() if isinstance(one, Network)}

    @property
    def domains(self) -> dict[str, Domain]:
        """What each network takes, by its name."""
        return self.maker.networks

    @property
    def encoder(self) -> nn.Module:
        """The encoder; where there are several networks, theirs by name."""
        return self._encoder[0]  # in a tuple, so that it is no submodule a second time

    @property
    def queries(self) -> list[int]:
        """The views whose online outputs are compared."""
        if self.objective.scores == "views":
            return list(range(len(self.view_networks)))
        return sorted({query for query, _ in self.pairs})

    @property
    def keys(self) -> list[int]:
        """The views that they are compared with."""
        if self.objective.scores == "views":
            return list(range(self.large))
        return sorted({key for _, key in self.pairs})

    @property
    def passing(self) -> list[int]:
        """The views that pass through the online networks."""
        keys = self.keys if self.recipe.target.row.online else []
        return sorted({*self.queries, *keys})

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
            return self.maker(batch.data, generator)
        x = y = batch.data
        if SAMPLERS[self.recipe.positives.sampler].pairs:
            x, y = batch.data.chunk(2)
        elif self.clusters is not None:
            y = batch.data[draw_partners(self.clusters[batch.index], generator)]
        return self.maker([x, y], generator)

    def outputs(self, views: Sequence[Tensor], noise: torch.Generator) -> Outputs:
        """What the online networks make of the views they are shown, each on its own: batch norm
        sees one view at a time."""
        features: dict[int, Tensor] = {}
        stages: dict[str, list[Tensor]] = {}
        for i in self.passing:
            with captured(self._of(i).encoder, self.regularization.stages) as given:
                features[i] = self._of(i).encoder(views[i])
            for stage, outputs in given.items():
                stages.setdefault(stage, []).extend(outputs)
        noisy = self.regularization.noisy(list(features.values()), noise)
        heads = dict(zip(features, noisy, strict=True))
        projected = {i: self._of(i).projector(x) for i, x in heads.items()}
        compared = {
            i: self._of(i).assigner(self._of(i).predictor(projected[i])) for i in self.queries
        }
        unpredicted = {
            i: compared[i]
            if i in compared and not self._of(i).predicts
            else self._of(i).assigner(projected[i])
            for i in projected
        }
        return Outputs(features, heads, compared, unpredicted, stages)

    def score(
        self, seen: Outputs, target: Mapping[int, Tensor], index: Tensor
    ) -> dict[str, Tensor]:
        """The objective's terms: of all pairs as one, or of all views together."""
        cluster = self._clusters_of(index)
        given: dict[str, Any] = {
            "index": index,
            "cluster": cluster,
            "tags": None if self.tags is None else self.tags[index],
            "state": self.state,
            "progress": Progress(self.current_epoch, self.recipe.epochs),
            "options": self.objective_options,
        }
        if self.objective.scores == "views":
            return self.objective(list(seen.compared.values()), list(target.values()), **given)
        z = cluster if cluster is not None and cluster.ndim == 1 else None
        terms = []
        for i, j in self.pairs:
            query = seen.compared[i]
            contrast = self._negatives_of(j).propose(query, index, z)
            keys = [target[j]] if j in target else []  # else the negatives' memory has it
            terms.append(self.objective([query], keys, negatives=contrast, **given))
        return combined(terms, summed=self.objective.summed(self.objective_options))

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
        cluster = self._clusters_of(index)
        z = cluster if cluster is not None and cluster.ndim == 1 else None
        outputs = target or seen.compared
        for i in {self.view_networks[i]: i for i in outputs}.values():
            self._negatives_of(i).update(outputs[i].detach(), index, z)

    def _clusters_of(self, index: Tensor) -> Tensor | None:
        """What counts as the same; None where each image is its own, and where partners stand for
        it."""
        if self.clusters is None or self.objective.partners:
            return None
        return self.clusters[index]

    def _negatives_of(self, view: int) -> Negatives:
        """The negatives of the network that takes a view."""
        found = self.negatives[self.view_networks[view]]
        assert isinstance(found, Negatives)
        return found

    def steady(self) -> tuple[nn.Module, nn.Module]:
        """The encoder and projector that are clustered between epochs: of the momentum network
        where there is one, of the first network where there are several."""
        name, network = next(iter(self.online.items()))
        return self.target.steady(name, network)

    def _of(self, view: int) -> Network:
        """The network that takes a view."""
        return self.online[self.view_networks[view]]

    def _generator(self, purpose: str, step: int, device: torch.device) -> torch.Generator:
        at: Any = {"epoch": self.current_epoch, "step": step, "rank": self.global_rank}
        return torch_generator(self.recipe.seed, purpose, **at, device=device)

    def _seed_networks(self, step: int) -> None:
        """Whatever draws from the global stream (dropout) is derived too: nothing to restore."""
        at: Any = {"epoch": self.current_epoch, "step": step, "rank": self.global_rank}
        torch.manual_seed(derive(self.recipe.seed, "network", **at))

    @torch.no_grad()
    def decoded(self, views: Sequence[Tensor]) -> list[Tensor]:
        """What a regularizer decodes of views' frozen features, images in [0, 1]; or nothing."""
        made = []
        with evaluating(self):
            for number, view in enumerate(views):
                features = self._of(number).encoder(view.to(self.device))
                image = self.regularization.decoded(features, partial(self.maker.shown, i=number))
                made += [] if image is None else [image.float().cpu()]
        return made

    def on_after_backward(self) -> None:
        for one in estimators(self):
            one.estimate()  # type: ignore[operator]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.target.follow(self.online, self.trainer.global_step, self.course.steps)

    def renew_clusters(self, z: Tensor, centroids: Sequence[Centroids] = ()) -> None:
        """Z made anew between epochs, int64 (N,) or (N, M), for all that keep something of it."""
        assert self.clusters is not None  # there is a Z from the start where it is made anew
        self.clusters.copy_(z)
        self.relabel()
        if isinstance(self.state, KeepsClusters):
            self.state.renew_clusters(z, centroids)

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
