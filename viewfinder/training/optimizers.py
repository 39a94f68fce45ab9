"""Parameter groups by role, with the two rules everybody expects: linear scaling of the learning
rate with the batch, and no decay of biases and norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.recipes.parts import Optimizer

Role = Literal["descend", "ascend", "own"]
"""How the parameters of a module are trained. "descend": down the gradient of the loss, as encoders
and heads are; "ascend": up, as a generator of views that plays against them; "own": the module
estimates its gradient itself, in a method ``estimate()`` that is called after each backward pass.

A module says so by an attribute ``role``, which holds for its submodules too."""


def roles(module: nn.Module, role: Role = "descend") -> Iterator[tuple[nn.Parameter, Role]]:
    """Every trainable parameter of a module with its role, each once."""
    seen: set[int] = set()

    def walk(one: nn.Module, inherited: Role) -> Iterator[tuple[nn.Parameter, Role]]:
        own: Role = getattr(one, "role", inherited)
        for parameter in one.parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter, own
        for child in one.children():
            yield from walk(child, own)

    yield from walk(module, role)


def estimators(module: nn.Module) -> list[nn.Module]:
    """The submodules that estimate their gradients themselves."""
    return [one for one in module.modules() if vars(type(one)).get("role") == "own"]


def build_optimizer(module: nn.Module, part: Optimizer, batch_size: int) -> torch.optim.Optimizer:
    """The optimiser of a recipe over a module's trainable parameters.

    The learning rate is ``part.lr * batch_size / 256``. Unless ``part.decay_all``, parameters of
    one dimension (biases, norm scales) have no weight decay and, under LARS, no layer-wise scaling.
    Raises UserError where a module ascends and the optimiser cannot.
    """
    trained = list(roles(module))
    row = OPTIMIZERS.find(part.name)
    groups: list[dict[str, Any]] = []
    for ascending in (False, True):
        own = [p for p, role in trained if (role == "ascend") == ascending]
        if ascending and own and not row.ascends:
            raise UserError(
                f"optimizer={part.name} cannot train a part that maximises the loss",
                fix="optimizer=adamw",
            )
        for vectors in (False, True):
            decay = part.weight_decay if part.decay_all or not vectors else 0.0
            chosen = [p for p in own if (p.ndim <= 1) == vectors]
            if chosen or not ascending:
                extra = {"maximize": True} if ascending else {}
                groups.append({"params": chosen, "weight_decay": decay, **extra})
    return row.build(groups, part.lr * batch_size / 256, part.momentum, part.nesterov)
