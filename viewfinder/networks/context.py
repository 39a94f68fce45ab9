"""Context networks of contrastive predictive coding: from what lies above to what lies below.

Each takes a grid of features (N, R, R, D) and gives a context (N, R, R, units) whose row i depends
on the rows up to i alone. None has batch norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["pixelcnn", "gru"]
BLOCKS = 5  # of the PixelCNN of CPC v2


class PixelCNN(nn.Module):
    """Residual blocks of convolutions that see their own row and the one above (Hénaff et al. 2020,
    appendix: five blocks, no gate)."""

    def __init__(self, dim: int, units: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim, units, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(units, units, 1),
                nn.ReLU(),
                nn.Conv2d(units, units, (1, 3), padding=(0, 1)),
                nn.ZeroPad2d((0, 0, 1, 0)),  # a row above the first, so that none sees the next
                nn.Conv2d(units, units, (2, 1)),
                nn.ReLU(),
                nn.Conv2d(units, units, 1),
            )
            for _ in range(BLOCKS)
        )

    def forward(self, grid: Tensor) -> Tensor:
        x = self.first(grid.permute(0, 3, 1, 2))
        for block in self.blocks:
            x = x + block(x)
        return F.relu(x).permute(0, 2, 3, 1)


class RowGRU(nn.Module):
    """A recurrent layer that goes down the rows, in each column; it sees the columns beside it too
    (van den Oord et al. 2018, section 3.2: a row by row autoregressive model)."""

    def __init__(self, dim: int, units: int) -> None:
        super().__init__()
        self.beside = nn.Conv2d(dim, units, (1, 3), padding=(0, 1))
        self.down = nn.GRU(units, units, batch_first=True)

    def forward(self, grid: Tensor) -> Tensor:
        n, rows, columns, _ = grid.shape
        x = F.relu(self.beside(grid.permute(0, 3, 1, 2))).permute(0, 3, 2, 1)  # columns, then rows
        found: Tensor = self.down(x.flatten(0, 1))[0]
        return found.view(n, columns, rows, -1).transpose(1, 2)


CONTEXTS: dict[Kind, Callable[[int, int], nn.Module]] = {"pixelcnn": PixelCNN, "gru": RowGRU}


class Predictions(nn.Module):
    """What the context of every patch says of the patches so many rows further on.

    rows, dim   of the grid of features: (N, rows * rows * dim)
    steps       how many distances are predicted, each by a linear map of the context
    directions  of them the first is downwards, each further one from the grid turned by a quarter,
                with a context network of its own

    Returns (N, directions * steps * rows * rows * dim), in that order: prediction k at (i, j) of
    the turned grid is of what lies k-th further on in its column.
    """

    def __init__(
        self, kind: Kind, rows: int, dim: int, units: int, steps: int, directions: int = 1
    ) -> None:
        super().__init__()
        self.rows, self.dim, self.steps = rows, dim, steps
        self.contexts = nn.ModuleList(CONTEXTS[kind](dim, units) for _ in range(directions))
        self.maps = nn.ModuleList(nn.Linear(units, steps * dim) for _ in range(directions))

    def forward(self, features: Tensor) -> Tensor:
        grid = features.view(len(features), self.rows, self.rows, self.dim)
        found = []
        for turn, (context, linear) in enumerate(zip(self.contexts, self.maps, strict=True)):
            said = linear(context(torch.rot90(grid, turn, (1, 2))))
            said = said.view(*said.shape[:3], self.steps, self.dim)
            found.append(said.permute(0, 3, 1, 2, 4).flatten(1))
        return torch.cat(found, 1)
