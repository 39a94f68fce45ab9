"""Projectors and predictors: the small networks between encoder and objective."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def head(inputs: int, units: Sequence[int], *, batch_norm: bool = False) -> nn.Sequential:
    """An MLP with ReLU between layers and a linear last layer: float (N, inputs) -> (N, units[-1]).

    ``batch_norm`` normalises each hidden layer before its ReLU, as BYOL's projector and predictor
    do; hidden layers then need no bias.

    >>> head(512, [512, 128], batch_norm=True)[0]
    Linear(in_features=512, out_features=512, bias=False)
    """
    if not units:
        raise ValueError("a head needs at least one layer: units is empty")
    layers: list[nn.Module] = []
    before = inputs
    for width in units[:-1]:
        layers.append(nn.Linear(before, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU(inplace=True))
        before = width
    layers.append(nn.Linear(before, units[-1]))
    return nn.Sequential(*layers)
