"""Optimisers with the two rules everybody expects: linear scaling, and no decay on biases."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from viewfinder.recipes.parts import Optimizer


def build_optimizer(module: nn.Module, part: Optimizer, batch_size: int) -> torch.optim.Optimizer:
    """The optimiser of a recipe over a module's trainable parameters.

    The learning rate is ``part.lr * batch_size / 256``. Parameters of one dimension (biases, norm
    scales) have no weight decay and, under LARS, no layer-wise scaling.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": part.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr = part.lr * batch_size / 256
    if part.name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=part.momentum, nesterov=part.nesterov)
    if part.name == "adam":
        return torch.optim.Adam(groups, lr=lr)
    if part.name == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    from timm.optim import Lars

    groups[0]["always_adapt"] = True  # also where the weight decay is 0
    return Lars(groups, lr=lr, momentum=part.momentum, nesterov=part.nesterov)
