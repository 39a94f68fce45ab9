"""Critics: networks that score how well an x and a y belong together."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Scores = Callable[[Tensor, Tensor], Tensor]


def mlp(width_in: int, width: int, width_out: int) -> nn.Sequential:
    """Two hidden layers. SiLU: log-ratios are smooth, and a smooth critic needs fewer pairs."""
    return nn.Sequential(
        *(nn.Linear(width_in, width), nn.SiLU()),
        *(nn.Linear(width, width), nn.SiLU()),
        nn.Linear(width, width_out),
    )


class Separable(nn.Module):
    """f(x, y) = g(x) · h(y) / √D of two towers to D dimensions: one matrix product for all pairs.

    >>> Separable(mlp(3, 8, 4), mlp(2, 8, 4))(torch.zeros(5, 3), torch.zeros(6, 2)).shape
    torch.Size([5, 6])
    """

    def __init__(self, g: nn.Module, h: nn.Module) -> None:
        super().__init__()
        self.g, self.h = g, h

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        left, right = self.g(x), self.h(y)
        return left @ right.T / math.sqrt(left.shape[1])


class Joint(nn.Module):
    """f(x, y) of x and y concatenated, by an MLP: any log-ratio, for one pass per pair.

    The first layer is a sum of a part of x and one of y, so those are computed once each.
    """

    def __init__(self, width_x: int, width_y: int, width: int) -> None:
        super().__init__()
        self.of_x, self.of_y = nn.Linear(width_x, width), nn.Linear(width_y, width, bias=False)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        left, right = self.of_x(x), self.of_y(y)
        blocks = left[:, None].split(64)  # of rows, so that memory stays small
        return torch.cat([self.rest(block + right).squeeze(2) for block in blocks])


Build = Callable[[int, int, int, int], nn.Module]
CRITICS: dict[str, Build] = {
    "separable": lambda dx, dy, width, dim: Separable(mlp(dx, width, dim), mlp(dy, width, dim)),
    "joint": lambda dx, dy, width, dim: Joint(dx, dy, width),
}
"""Critics by name: (width of x, width of y, hidden units, dimensions that are compared)."""
