"""The supervised row of Table 4: one network, trained with what the table asks of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viewfinder.core.randomness import torch_generator
from viewfinder.data.source import Split
from viewfinder.networks.frozen_features import features_of
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.run import initial_weights, new_encoders, one_encoder, pick_device

CLASSES, PLACES = ("digit", "background"), ("position",)
"""The factors that are named, and those that are told as numbers."""


def train(recipe: Recipe, split: Split) -> nn.Module:
    """The encoder of single frames, trained end to end with a linear head for each factor of
    moving digits.

    The loss is the sum of the cross-entropies of the classes, and of the squared error of the
    position in units of its deviation. The frames are those that an evaluation sees, the clips,
    steps, batches and optimiser those of the recipe, whose learning rate falls by a cosine after
    the same warm-up; but the encoder alone is trained, on one later frame of each clip.
    """
    device = pick_device(recipe.accelerator)
    maker = recipe.view_maker()
    with initial_weights(recipe.seed):
        encoders = new_encoders(recipe)
        encoder = one_encoder(encoders).to(device)
        known = {name: torch.from_numpy(split.factors[name]) for name in (*CLASSES, *PLACES)}
        goals = {name: _goal(values) for name, values in known.items()}
        heads = nn.ModuleDict(
            {name: nn.LazyLinear(_outputs(goal)) for name, goal in goals.items()}
        ).to(device)
        blank = split.data.read(np.arange(2)).to(device)
        encoder.eval()
        for head in heads.values():  # their weights are drawn here
            head(features_of(encoder, maker.frozen(blank)).detach())
    steps = len(split) // recipe.batch_size
    rate = recipe.optimizer.lr * recipe.batch_size / 256
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=recipe.optimizer.weight_decay)
    warmup = max(1, round(recipe.optimizer.warmup_epochs * steps))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, max(1, recipe.epochs * steps - warmup)
            ),
        ],
        [warmup],
    )
    encoder.train()
    for rows in _batches(recipe, len(split)):
        frames = maker.frozen(split.data.read(rows.numpy()).to(device))
        features = features_of(encoder, frames)
        loss = _loss(heads, features, {name: goal[rows].to(device) for name, goal in goals.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return encoder


def _goal(values: Tensor) -> Tensor:
    """Classes as they are; numbers with mean 0 and deviation 1."""
    if not values.is_floating_point():
        return values
    return ((values - values.mean(0)) / values.std(0)).float()


def _outputs(goal: Tensor) -> int:
    return goal.shape[1] if goal.is_floating_point() else int(goal.max()) + 1


def _loss(heads: nn.ModuleDict, features: Tensor, goals: Mapping[str, Tensor]) -> Tensor:
    parts = [
        F.mse_loss(heads[name](features), goal)
        if goal.is_floating_point()
        else F.cross_entropy(heads[name](features), goal)
        for name, goal in goals.items()
    ]
    return torch.stack(parts).sum()


def _batches(recipe: Recipe, n: int) -> Iterator[Tensor]:
    for epoch in range(recipe.epochs):
        generator = torch_generator(recipe.seed, "papers/supervised", epoch=epoch)
        order = torch.randperm(n, generator=generator)
        yield from order[: n // recipe.batch_size * recipe.batch_size].split(recipe.batch_size)
