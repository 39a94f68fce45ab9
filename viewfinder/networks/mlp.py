"""The plain multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

Activation = Literal["relu", "tanh", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def mlp(
    inputs: int,
    widths: Sequence[int],
    activation: Activation = "relu",
    *,
    last_activation: bool = False,
) -> nn.Sequential:
    """A linear layer for each of ``widths``, with an activation between them, or after each.

    float (N, inputs) -> (N, widths[-1]). PyTorch's default initialisation, from the global
    generator: seed it with ``torch.random.fork_rng`` and ``torch.manual_seed`` where it has to
    repeat. Raises ValueError for no layer at all or an unknown activation.

    >>> len([m for m in mlp(2, [128, 128, 128, 128, 2]) if isinstance(m, nn.Linear)])
    5
    """
    if not widths:
        raise ValueError("widths are empty; at least one layer is expected")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {get_args(Activation)}, not {activation!r}")
    modules: list[nn.Module] = []
    for before, after in pairwise([inputs, *widths]):
        modules += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*(modules if last_activation else modules[:-1]))
