"""Learning views: a generator, two networks that bound what its views share, two that classify."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, world_size
from viewfinder.core.randomness import seed_layers, torch_generator
from viewfinder.data.batch import Batch
from viewfinder.data.domain import Domain
from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.joined_batch_norm import join_batch_norms
from viewfinder.networks.network import Network
from viewfinder.objectives.modules import InfoNCE
from viewfinder.recipes.view_learning import ViewLearning
from viewfinder.runs.run import initial_weights, pick_device
from viewfinder.views.learned_space import LearnedSpace


class Reversed(torch.autograd.Function):
    """x as it is, and its gradient turned around (Ganin and Lempitsky 2015).

    Whoever made x goes up the loss that whoever takes it goes down: one backward pass plays both
    sides of a game. A role "ascend" would not do: of equation 3 the generator goes up one term and
    down the other.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class ViewTraining(L.LightningModule):
    """One step of equation 2 or 3 of InfoMin, simultaneously for all that play.

        min_{g, c1, c2} max_{f1, f2}  I_NCE(g(X)_1; g(X)_2:) + weight (CE(c1(g(X)_1), y)
                                                                     + CE(c2(g(X)_2:), y))

    I_NCE = log K - L_NCE, with the other K - 1 images of the batch, both directions averaged, is of
    all images of the batch; the classifiers' part of those that have a label. Without ``hides`` the
    networks f are trained all the same, on views without a gradient: to say what is shared.

    classes  how many, where there are labels
    """

    def __init__(self, recipe: ViewLearning, classes: int = 0) -> None:
        super().__init__()
        self.recipe, self.goal = recipe, recipe.goal
        self.maker = recipe.maker()
        with initial_weights(recipe.seed, "generator"):
            self.space = LearnedSpace(recipe.shape)
        self.critics = self._networks("critic", recipe.networks.projector)
        self.classifiers = self._networks("classifier", [classes] if self.goal.labels else [])
        self.contrast = InfoNCE(recipe.networks.temperature)
        if recipe.processes > 1 and pick_device(recipe.accelerator).type != "cuda":
            join_batch_norms(self)

    def _networks(self, what: str, units: list[int]) -> nn.ModuleList:
        """An encoder and a head for each view; none without units."""
        return nn.ModuleList(
            self._network(f"{what}/{domain.network}", domain, units)
            for domain in self.recipe.domains()
            if units
        )

    def _network(self, name: str, domain: Domain, units: list[int]) -> Network:
        part = self.recipe.encoder
        with initial_weights(self.recipe.seed, name):
            encoder, width = build_encoder(part.name, domain, part.options().model_dump())
            return Network(fast_layout(encoder), width, units)

    def training_step(self, batch: Batch, step: int) -> dict[str, Any]:
        at = {"epoch": self.current_epoch, "step": step, "rank": self.global_rank}
        seed_layers(self.recipe.seed, self.device, **at)
        draw = torch_generator(self.recipe.seed, "views", **at, device=batch.data.device)
        (images,) = self.maker(batch.data, draw, batch.sides)
        terms = self.terms(images, batch.label)
        loss = terms.pop("loss")
        self.log("loss", loss.detach(), on_step=True, on_epoch=True, batch_size=len(batch))
        return {"loss": loss, "terms": {name: term.detach() for name, term in terms.items()}}

    def terms(self, images: Tensor, label: Tensor | None) -> dict[str, Tensor]:
        """The loss of images float (N, C, H, W) in [0, 1], and what it is made of.

        i_nce       in nats
        label_loss  of both classifiers in the mean, where there are any
        """
        with torch.autocast(images.device.type, enabled=False):
            seen = self.space(images)
        views = [seen[:, :1].contiguous(), seen[:, 1:].contiguous()]
        shown = [Reversed.apply(v) if self.goal.hides else v.detach() for v in views]
        first, second = (_through(net, v) for net, v in zip(self.critics, shown, strict=True))
        nce = (self.contrast(first, second) + self.contrast(second, first)) / 2
        terms = {"loss": nce, "i_nce": math.log(len(images) * world_size()) - nce}
        if self.goal.labels:
            assert label is not None  # as many as images: checked before the training
            said = [
                _cross_entropy(_through(net, v), label)
                for net, v in zip(self.classifiers, views, strict=True)
            ]
            terms["label_loss"] = (said[0] + said[1]) / 2
            terms["loss"] = nce + self.recipe.label_weight * (said[0] + said[1])
        return terms

    def observe(self, loss: float) -> None:
        """The learning rates stay as they are: a game has no end to come closer to."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        own = list(self.space.parameters())
        others = [*self.critics.parameters(), *self.classifiers.parameters()]
        generator, networks = self.recipe.learning_rates
        groups = [{"params": own, "lr": generator}, {"params": others, "lr": networks}]
        return torch.optim.Adam(groups)


def _through(network: nn.Module, view: Tensor) -> Tensor:
    """The outputs (N, D) of a view."""
    assert isinstance(network, Network)
    out: Tensor = network.projector(network.encoder(view))
    return out


def _cross_entropy(scores: Tensor, label: Tensor) -> Tensor:
    """The mean over the labelled images of all processes: each process gives its part, times their
    number, as gradients are averaged over them."""
    known = (label >= 0).sum()[None].double()
    processes = world_size()
    if processes > 1:
        known = gather(known, [1] * processes)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    total = F.cross_entropy(scores, label, ignore_index=-1, reduction="sum")
    return total * processes / known.sum().clamp(min=1)
