"""What a recipe is built into: the parts of a method, with all their state in one module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain, Spec
from viewfinder.negatives.contract import Negatives
from viewfinder.networks.encoders import feature_dim
from viewfinder.networks.joined_batch_norm import join_batch_norms
from viewfinder.networks.network import Network
from viewfinder.networks.pieces import OfPieces
from viewfinder.networks.places import Places, Stage
from viewfinder.objectives.pairs import pairs_of
from viewfinder.positives.assignment import Centroids
from viewfinder.positives.contract import KeepsClusters
from viewfinder.recipes.recipe import Recipe
from viewfinder.regularizers.regularization import Regularization
from viewfinder.runs.run import initial_weights, new_encoder, one_encoder, pick_device
from viewfinder.training.optimizers import estimators


class Parts(L.LightningModule):
    """The parts of a method as one module: views, networks, negatives, objective, regularizers.

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
        if recipe.processes > 1 and pick_device(recipe.accelerator).type != "cuda":
            join_batch_norms(self)  # torch's own synchronised one is for CUDA alone
        self._build_negatives(n)
        self.schedule = recipe.schedule.row.build(recipe.schedule.options())
        # Every process has these from the start and from each clustering, or estimates them itself:
        # not sent with every step.
        own = {id(p) for one in estimators(self) for p in one.parameters()}
        named = [name for name, p in self.named_parameters() if id(p) in own]
        kept = [f"negatives.{name}" for name, _ in self.negatives.named_buffers()]
        self._ddp_params_and_buffers_to_ignore = ["clusters", "tags", *named, *kept]

    def _build(self, classes: int | None) -> None:
        recipe = self.recipe
        made: dict[str, Network] = {}
        for name, domain in self.domains.items():
            if not made:
                made[name] = self._network(domain, classes, made)
            else:
                with initial_weights(recipe.seed, name):
                    made[name] = self._network(domain, classes, made)
        self.networks = nn.ModuleDict(made)
        self._encoder = (one_encoder({name: made[name].encoder for name in self.maker.encoders}),)
        first = next(iter(made))
        self.states = nn.ModuleDict(self._states(made))
        self.regularization = Regularization(
            recipe.regularizers.chosen,
            recipe.regularizers.sigma,
            self._spec(first),
            made[first].encoder,
        )
        self.target = recipe.target.row.build(recipe.target.options(), self.online)

    def _states(self, networks: Mapping[str, Network]) -> dict[str, nn.Module]:
        """What the objective keeps, for the keys of each network; nothing where it does not."""
        row, recipe = self.objective, self.recipe
        made: dict[str, nn.Module] = {}
        for name, network in networks.items() if row.state is not None else ():
            with initial_weights(recipe.seed, f"{name}/state") if made else nullcontext():
                made[name] = row.state(self.objective_options, network.dim, recipe.positives.sizes)
        return made

    def _encoder_of(self, domain: Domain, made: Mapping[str, Network]) -> tuple[nn.Module, int]:
        """The encoder of one domain and its feature dimension: a new one, or for pieces that of
        the network whose views they are pieces of."""
        if domain.pieces_of is None:
            return new_encoder(self.recipe, domain)
        whole = made[domain.pieces_of]
        return OfPieces(whole.encoder), whole.feature_dim

    def _network(
        self, domain: Domain, classes: int | None, made_before: Mapping[str, Network]
    ) -> Network:
        """Encoder and heads of one domain."""
        recipe, row = self.recipe, self.objective
        encoder, width = self._encoder_of(domain, made_before)
        self._check_further_views(encoder, domain)
        units = list(recipe.head.projector)
        if row.outputs == "classes":
            assert classes is not None, "the number of classes is not given"
            units = [classes]
        each = row.pieces is not None
        if row.pieces is not None:
            width *= _pieces(recipe, row.pieces(self.objective_options), domain)
        made = Network(
            encoder,
            width,
            units,
            recipe.head.predictor,
            recipe.head.batch_norm,
            domain.pieces,
            each=each,
        )
        if recipe.views.split_row.asks:
            made.asked = Stage.of_features(encoder, domain)
        if row.predictor is not None:
            made.predictor = row.predictor(self.objective_options, made.dim)
            made.predicts = True
        if row.assigner is not None:
            made.assigner = row.assigner(self.objective_options, made.dim)
        if row.keys is not None and not domain.pieces:
            read, norm = row.keys(self.objective_options), recipe.head.batch_norm
            made.places = Places(encoder, domain, read, units or [made.dim], norm)
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
        part = self.recipe.negatives
        asked = {self.view_networks[i] for i in self.keys}  # of the others nothing is remembered
        made = {
            name: part.row.build(part.options(), self._spec(name, n))
            if name in asked
            else Negatives()
            for name in self.domains
        }
        self.negatives = nn.ModuleDict(made)
        self.relabel()

    def _spec(self, name: str, n: int = 0) -> Spec:
        """What a part that belongs to a network will meet."""
        network = self.online[name]
        several = self.clusters is not None and self.clusters.ndim == 2
        return Spec(
            self.domains[name],
            domains=self.maker.domains,
            n=n,
            feature_dim=network.feature_dim,
            dim=network.dim,
            sizes=self.recipe.positives.sizes if several else (),
            seed=self.recipe.seed,
        )

    def relabel(self) -> None:
        """Tell whoever keeps clusters that Z is new."""
        if self.clusters is not None:
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

    def clusters_of(self, index: Tensor) -> Tensor | None:
        """What counts as the same; None where each image is its own, and where partners stand for
        it."""
        if self.clusters is None or self.objective.partners:
            return None
        return self.clusters[index]

    def state_of(self, view: int) -> nn.Module | None:
        """What the objective keeps for the keys of a view."""
        name = self.view_networks[view]
        return self.states[name] if self.states else None

    def negatives_of(self, view: int) -> Negatives:
        """The negatives of the network that takes a view."""
        found = self.negatives[self.view_networks[view]]
        assert isinstance(found, Negatives)
        return found

    def steady(self) -> tuple[nn.Module, nn.Module]:
        """The encoder and projector that are clustered between epochs: of the momentum network
        where there is one, of the first network where there are several."""
        name, network = next(iter(self.online.items()))
        return self.target.steady(name, network)

    def network_of(self, view: int) -> Network:
        """The network that takes a view."""
        return self.online[self.view_networks[view]]

    def renew_clusters(self, z: Tensor, centroids: Sequence[Centroids] = ()) -> None:
        """Z made anew between epochs, int64 (N,) or (N, M), for all that keep something of it."""
        assert self.clusters is not None  # there is a Z from the start where it is made anew
        self.clusters.copy_(z)
        self.relabel()
        for state in self.states.values():
            if isinstance(state, KeepsClusters):
                state.renew_clusters(z, centroids)


def _pieces(recipe: Recipe, wanted: int, domain: Domain) -> int:
    """How many pieces views of a domain have; raises UserError where the objective has others."""
    found = domain.shape[0] if domain.modality == "clips" else 1
    if domain.modality != "clips" or found != wanted:
        rows = math.isqrt(found)
        raise UserError(
            f"objective={recipe.objective.name} is set for views of {wanted} patches, and "
            f"views.split={recipe.views.split_row.name} gives views of {found}",
            fix=f"objective.side={rows}" if rows > 1 and rows**2 == found else "views.split=grid",
        )
    return found
