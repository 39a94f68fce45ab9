"""The table of optimisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from viewfinder.core.table import Row, Table

Groups = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class OptimizerRow(Row):
    """A row of the table of optimisers.

    build     (parameter groups, learning rate, momentum, nesterov) -> the optimiser
    momentum  whether it has a momentum to be set, and Nesterov's form of it
    ascends   whether groups may ask to ``maximize``
    states    how many tensors it keeps of each parameter with that momentum
    """

    build: Callable[[Groups, float, float, bool], torch.optim.Optimizer]
    momentum: bool = False
    ascends: bool = True
    states: Callable[[float], int] = lambda momentum: int(momentum > 0)


def _sgd(groups: Groups, lr: float, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)


def _adam(groups: Groups, lr: float, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=lr)


def _adamw(groups: Groups, lr: float, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr)


def _lars(groups: Groups, lr: float, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    from timm.optim import Lars

    # matrices are adapted also where their decay is 0, biases and norms only where they have one
    adapted = [{**g, "always_adapt": all(p.ndim > 1 for p in g["params"])} for g in groups]
    return Lars(adapted, lr=lr, momentum=momentum, nesterov=nesterov)


OPTIMIZERS = Table(
    "optimizer",
    [
        OptimizerRow(name="sgd", summary="stochastic gradient descent", build=_sgd, momentum=True),
        OptimizerRow(
            name="adam", summary="Adam", paper="Kingma and Ba 2015", build=_adam, states=lambda m: 2
        ),
        OptimizerRow(
            name="adamw",
            summary="Adam with decoupled weight decay",
            paper="Loshchilov and Hutter 2019",
            build=_adamw,
            states=lambda momentum: 2,
        ),
        OptimizerRow(
            name="lars",
            summary="SGD with a learning rate per layer, for large batches",
            paper="You et al. 2017",
            build=_lars,
            momentum=True,
            ascends=False,
        ),
    ],
)
