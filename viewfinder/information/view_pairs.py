"""Pairs of views of data, drawn anew whenever they are asked for; and a view with its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.data.source import Data, sides_of
from viewfinder.views.maker import ViewMaker

BLOCK = 256


@dataclass(frozen=True)
class ViewPairs:
    """The first two views that ``maker`` makes of each datum. They are scaled as the maker leaves
    them: ``fitted`` changes nothing."""

    data: Data
    maker: ViewMaker

    def __len__(self) -> int:
        return len(self.data)

    def draw(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        views = [self._views(block, generator)[:2] for block in index.split(BLOCK)]
        first, second = zip(*views, strict=True)
        return torch.cat(first), torch.cat(second)

    def _views(self, index: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Of few data at a time, so that no more than the views themselves are in memory."""
        rows = index.numpy()
        return self.maker(self.data.read(rows), generator, sides_of(self.data, rows))

    def fitted(self, index: Tensor) -> Self:
        return self


@dataclass(frozen=True)
class LabelPairs(ViewPairs):
    """The first view of each datum, and its label, int64 (N,) from 0, as float32 one-hot rows."""

    labels: Tensor

    def draw(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        views = [self._views(block, generator)[0] for block in index.split(BLOCK)]
        one_hot = F.one_hot(self.labels[index], int(self.labels.max()) + 1)
        return torch.cat(views), one_hot.float()
