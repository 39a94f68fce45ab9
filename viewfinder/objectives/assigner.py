"""From projections to prototypes, and how many samples each prototype is given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.objectives.log_partition import exact_product
from viewfinder.objectives.similarity import unit


class CosineAssigner(nn.Module):
    """Cosines of projections with K learned unit vectors: float (N, dim) -> (N, K), in [-1, 1].

    SwAV's prototypes, and DINO's last layer with its weight norm held at 1. They are normalised
    when they are used: nothing need be done to them between steps.
    """

    def __init__(self, dim: int, prototypes: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(nn.Linear(dim, prototypes, bias=False).weight.detach())

    def forward(self, z: Tensor) -> Tensor:
        return exact_product(unit(z), unit(self.prototypes).T)


def usage(scores: Tensor) -> Tensor:
    """The share of the samples that each prototype wins: float (N, K) -> float32 (K,), sum 1."""
    won = scores.detach().argmax(dim=1).bincount(minlength=scores.shape[1])
    return won.to(torch.float32) / len(scores)
