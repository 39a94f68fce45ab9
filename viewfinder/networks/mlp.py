"""The plain multi-layer perceptron of the toy experiments."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "tanh", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def mlp(
    inputs: int, hidden: int, layers: int, outputs: int, activation: Activation = "relu"
) -> nn.Sequential:
    """``layers`` linear layers: ``layers`` - 1 of width ``hidden`` with activation, then outputs.

    float (N, inputs) -> (N, outputs). PyTorch's default initialisation, from the global generator:
    seed it with ``torch.random.fork_rng`` and ``torch.manual_seed`` where it has to repeat.
    Raises ValueError for fewer than one layer or an unknown activation.

    >>> len([m for m in mlp(2, 128, 5, 2) if isinstance(m, nn.Linear)])
    5
    """
    if layers < 1:
        raise ValueError(f"layers must be at least 1, not {layers}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {get_args(Activation)}, not {activation!r}")
    widths = [inputs, *[hidden] * (layers - 1), outputs]
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1])
