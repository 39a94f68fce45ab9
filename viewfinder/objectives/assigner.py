"""From projections to prototypes, and how many samples each prototype is given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.objectives.log_partition import exact_product
from viewfinder.objectives.similarity import float32_or_better, unit


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


class LinearAssigner(nn.Linear):
    """A linear layer in float32 or better, also under autocast: float (N, dim) -> (N, K).

    CARL's. Its logits are far apart in a sure assignment, and in 8 bits the gradients of their
    softmax would be some percent wrong.
    """

    def forward(self, z: Tensor) -> Tensor:
        made = exact_product(float32_or_better(z), self.weight.T)
        return made + self.bias.to(made.dtype)


@torch.no_grad()
def assignments(logits: Tensor) -> dict[str, Tensor]:
    """How a batch uses the prototypes: float (N, K), logits, -> two float32 (K,) of sum 1.

    usage     the share of the samples that each prototype wins
    assigned  the mean of the samples' softmax: where nobody is sure it is even, whoever wins

    >>> undecided = 1e-3 * torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> [shares.round(decimals=2).tolist() for shares in assignments(undecided).values()]
    [[1.0, 0.0], [0.5, 0.5]]
    """
    won = logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    mean = logits.to(torch.float32).softmax(dim=1).mean(dim=0)
    return {"usage": won.to(torch.float32) / len(logits), "assigned": mean}
