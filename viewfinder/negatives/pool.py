"""A memory as the queries of a step see it, and what a choice among its rows is made with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from viewfinder.core.randomness import drawn_for
from viewfinder.core.vectors import unit
from viewfinder.negatives.contract import Proposal
from viewfinder.negatives.neighbours import BLOCK, nearest


@dataclass(frozen=True)
class Pool:
    """The rows of a memory, and N queries that each choose some of them.

    table    float (M, D), any scale
    at       float (N, D), what the rows are neighbours of: the queries, or their rows in the memory
    index    int64 (N,), the query's own row
    cluster  int64 (M,) or (M, G), what counts as the same; negative: not known
    seed     of the draws of this step, which depend on it and the index alone
    epoch    the epoch of the run, from 0
    without_own  whether the query's own row is none of those that are chosen
    """

    table: Tensor
    at: Tensor
    index: Tensor
    cluster: Tensor
    seed: int
    epoch: int = 0
    without_own: bool = True

    @property
    def own(self) -> Tensor | None:
        """int64 (N,), the row that must not be chosen; None: all may be."""
        return self.index if self.without_own else None

    def nearest(self, k: int) -> tuple[Tensor, Tensor]:
        """The k rows of greatest cosine, the nearest first, int64 (N, k), and their cosines."""
        rows, cosines = nearest(self.at, self.table, k, own=self.own)
        return rows, cosines.clamp(-1, 1)

    def draws(self, count: int, below: int) -> Tensor:
        """So many whole numbers of [0, below) for each query, uniform: int64 (N, count)."""
        return drawn_for(self.index, count, below, self.seed)

    def fractions(self, count: int) -> Tensor:
        """So many numbers of [0, 1) for each query, uniform: float64 (N, count)."""
        return self.draws(count, 1 << 31).double() / (1 << 31)

    def uniform(self, count: int) -> Tensor:
        """So many of all rows for each query, uniform with replacement: int64 (N, count)."""
        if self.own is None:
            return self.draws(count, len(self.table))
        drawn = self.draws(count, len(self.table) - 1)
        return drawn.add_(drawn >= self.own[:, None])

    def drawn(self, count: int, weigh: Callable[[Tensor], Tensor]) -> Chosen:
        """``count`` rows for each query, with replacement, by weights that depend on the cosine.

        ``weigh`` maps cosines (n, M) of some queries with all rows to weights (n, M), at least 0;
        the cosine of a row that must not be chosen is -inf, and its weight must be 0. Where all
        weights of a query are 0 all other rows are alike.
        """
        u = self.fractions(count)
        rows, empty = u.new_empty(u.shape, dtype=torch.int64), u.new_empty(len(u), dtype=torch.bool)
        for block, s in self.cosines():
            weights = weigh(s)
            empty[block] = ~weights.any(dim=1)
            weights = torch.where(empty[block, None], s > float("-inf"), weights)
            rows[block] = by_weight(weights, u[block])
        return Chosen(rows, empty)

    def cosines(self) -> Iterator[tuple[slice, Tensor]]:
        """Cosines (n, M) of a block of queries with all rows, -inf of a row that must not be
        chosen; a block after the other, so that those of all are never there."""
        table = unit(self.table)
        at, own = unit(self.at.to(table)), self.own
        size = max(1, BLOCK // len(table))
        for start in range(0, len(at), size):
            block = slice(start, start + size)
            with torch.autocast(table.device.type, enabled=False):
                s = (at[block] @ table.T).clamp_(-1, 1)  # rounding may not pass a bound of 1
            if own is not None:
                s.scatter_(1, own[block, None], float("-inf"))
            yield block, s


class Chosen(NamedTuple):
    """rows   int64 (N, K), those of each query, -1 for none; (K,), shared; None: all rows
    empty  bool (N,), where nothing was left to choose from and something else stands instead
    proposal  how they were drawn, where what chooses learns
    """

    rows: Tensor | None
    empty: Tensor | None = None
    proposal: Proposal | None = None


Choice = Callable[[Pool], Chosen]
"""Which rows of a memory the queries are contrasted with."""


def after(start: int, draws: int, choose: Choice, tells: bool, pool: Pool) -> Chosen:
    """``choose`` from epoch ``start`` on, and before it uniform draws: instance discrimination,
    with which the papers fill a memory first. ``tells``: whether the choice says what was empty."""
    if pool.epoch >= start:
        return choose(pool)
    nothing = torch.zeros_like(pool.index, dtype=torch.bool)
    return Chosen(pool.uniform(draws), nothing if tells else None)


def by_weight(weights: Tensor, u: Tensor) -> Tensor:
    """Positions drawn in proportion to weights: (n, K), at least 0 and not all 0, and numbers of
    [0, 1) (n, draws) -> int64 (n, draws). What weighs 0 is never drawn.

    >>> u = torch.tensor([[0.0, 0.2, 0.3, 0.9]])
    >>> by_weight(torch.tensor([[0.0, 1.0, 0.0, 3.0]]), u).tolist()
    [[1, 1, 3, 3]]
    """
    upto = weights.double().cumsum(dim=1)
    return torch.searchsorted(upto, u.double() * upto[:, -1:], right=True)
