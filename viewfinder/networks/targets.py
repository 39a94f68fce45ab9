"""What the online outputs are compared with: the table of targets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.ranges import Fraction
from viewfinder.core.schedules import cosine_momentum
from viewfinder.core.table import Options, Row, Table
from viewfinder.networks.momentum import ema_update
from viewfinder.networks.network import Network, Outputs


class Target(nn.Module):
    """Gives the keys of some views; ``follow`` is called after each step of the optimiser."""

    def forward(
        self, views: Sequence[Tensor], networks: Sequence[str], keys: Sequence[int], seen: Outputs
    ) -> dict[int, Tensor]:
        """The keys by the position of the view, float (N, D) each.

        views     all views; networks: the name of the network of each
        keys      the views whose keys are asked for
        seen      what the online networks made of the views they were shown
        """
        raise NotImplementedError

    def steady(self, name: str, online: Network) -> tuple[nn.Module, nn.Module]:
        """Encoder and projector of a network that move least: what is clustered between epochs."""
        return online.encoder, online.projector

    def begin(self, online: Mapping[str, Network]) -> None:
        """Take the online networks as they are before the first step, given other weights."""

    def follow(self, online: Mapping[str, Network], step: int, total: int) -> None:
        """Learn of the online networks after step ``step`` of ``total``."""


class Shared(Target):
    """The same network with its gradient; ``detached``: without."""

    def __init__(self, detached: bool) -> None:
        super().__init__()
        self.detached = detached

    def forward(
        self, views: Sequence[Tensor], networks: Sequence[str], keys: Sequence[int], seen: Outputs
    ) -> dict[int, Tensor]:
        made = {i: seen.unpredicted[i] for i in keys}
        return {i: z.detach() for i, z in made.items()} if self.detached else made


class Momentum(Target):
    """A copy of the networks that follows them by an exponential moving average."""

    def __init__(self, options: MomentumOptions, online: Mapping[str, Network]) -> None:
        super().__init__()
        self.options = options
        # all at once, so that what networks share their copies share
        copies = copy.deepcopy({name: network.followed() for name, network in online.items()})
        self.networks = nn.ModuleDict(copies).requires_grad_(False)

    @torch.no_grad()
    def forward(
        self, views: Sequence[Tensor], networks: Sequence[str], keys: Sequence[int], seen: Outputs
    ) -> dict[int, Tensor]:
        return {i: self.networks[networks[i]](views[i]) for i in keys}

    def steady(self, name: str, online: Network) -> tuple[nn.Module, nn.Module]:
        copy_of: Any = self.networks[name]
        return copy_of[0], copy_of[1]

    def begin(self, online: Mapping[str, Network]) -> None:
        for name, network in online.items():
            self.networks[name].load_state_dict(network.followed().state_dict())

    def follow(self, online: Mapping[str, Network], step: int, total: int) -> None:
        o = self.options
        momentum = cosine_momentum(step, total, o.momentum, o.final_momentum)
        for name, network in online.items():
            ema_update(self.networks[name], network.followed(), momentum)


class Memory(Target):
    """Nothing of its own: the keys are rows of the negatives' memory."""

    def forward(
        self, views: Sequence[Tensor], networks: Sequence[str], keys: Sequence[int], seen: Outputs
    ) -> dict[int, Tensor]:
        return {}


class MomentumOptions(Options):
    momentum: Fraction = Field(0.996, description="weight of the old average at the start")
    final_momentum: Fraction = Field(1.0, description="the same at the end, by cosine")


@dataclass(frozen=True, kw_only=True)
class TargetRow(Row):
    """A row of the table of targets.

    build     (options, the online networks by name) -> Target
    gradient  whether gradients flow into the keys
    online    whether the views of the keys pass through the online network as well
    apart     whether the keys differ from the online outputs without a predictor
    memory    whether the keys come from the negatives' memory
    """

    build: Callable[[Any, Mapping[str, Network]], Target]
    gradient: bool = False
    online: bool = False
    apart: bool = False
    memory: bool = False


TARGETS = Table(
    "target",
    [
        TargetRow(
            name="shared",
            summary="the same network",
            paper="SimCLR, Chen et al. 2020",
            build=lambda options, online: Shared(detached=False),
            gradient=True,
            online=True,
        ),
        TargetRow(
            name="detached",
            summary="the same network without gradient",
            paper="SimSiam, Chen and He 2021",
            build=lambda options, online: Shared(detached=True),
            online=True,
        ),
        TargetRow(
            name="momentum",
            summary="an exponential moving average of the network",
            paper="MoCo, He et al. 2020; BYOL, Grill et al. 2020",
            options=MomentumOptions,
            build=Momentum,
            apart=True,
        ),
        TargetRow(
            name="bank",
            summary="what the memory of the negatives has kept of the same image",
            paper="instance discrimination, Wu et al. 2018",
            build=lambda options, online: Memory(),
            apart=True,
            memory=True,
        ),
    ],
)
