"""Noise on the features: what makes an encoder stochastic.

``regularizers.noise`` is no row of the table of regularizers. A row adds a term to the loss; the
noise adds none. It changes what the head sees, once for all: the objective, LBE's sample of
p(z | v) and MIB's stochastic encoder are of the same draw.
"""

from __future__ import annotations

import torch
from torch import Tensor

DEFAULT_NOISE = 0.1
"""Standard deviation where a regularizer asks for noise and the recipe does not say how much."""


def add_noise(features: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """z = f(v) + sigma * e with e standard normal: a sample of p(z | v) = N(f(v), sigma^2).

    features   float (N, D)
    sigma      standard deviation, in the units of the features
    generator  on their device
    Returns (N, D). Raises ValueError for a negative sigma.

    >>> add_noise(torch.zeros(2, 3), 0.1, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    if not sigma >= 0:
        raise ValueError(f"sigma is a standard deviation, from 0, not {sigma}")
    noise = torch.randn(
        features.shape, generator=generator, dtype=features.dtype, device=features.device
    )
    return features + sigma * noise
