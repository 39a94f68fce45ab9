"""The rows of a table nearest to each query, without the matrix of all similarities."""

from __future__ import annotations

import torch
from torch import Tensor

from viewfinder.core.vectors import unit

# Similarities that are compared at once: few beside a large bank, many beside the k that are kept.
BLOCK = 1 << 24


def nearest_rows(query: Tensor, table: Tensor, k: int, *, own: Tensor | None = None) -> Tensor:
    """The rows of ``nearest`` alone, int64 (N, k).

    >>> table = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> nearest_rows(table[:1], table, 1, own=torch.tensor([0])).tolist()
    [[1]]
    """
    return nearest(query, table, k, own=own)[0]


@torch.no_grad()
def nearest(
    query: Tensor, table: Tensor, k: int, *, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The k rows of greatest cosine with each query, the nearest first: (N, D), (M, D) -> int64
    (N, k), and their cosines (N, k).

    A block of the table after the other is compared, and only the best k so far are kept: N x M is
    never there. On a CPU what passes the least of them is picked out first, which is little after
    some blocks: a flat search of faiss takes longer (benchmarks/neighbours.py).

    own  int64 (N,), a row that is none of the query's neighbours
    Raises ValueError where the table has no k rows to choose from.
    """
    most = len(table) - (own is not None)
    if not 1 <= k <= most:
        raise ValueError(f"{k} neighbours are asked for, and there are {most} rows to choose from")
    columns = max(4 * k, BLOCK // max(1, len(query)))
    query = unit(query.to(table.dtype))
    best = query.new_empty(len(query), 0)
    rows = torch.empty(len(query), 0, dtype=torch.int64, device=query.device)
    with torch.autocast(query.device.type, enabled=False):
        for start in range(0, len(table), columns):
            block = table[start : start + columns]
            s = query @ unit(block).T
            if own is not None:
                there = (own >= start) & (own < start + len(block))
                at = torch.where(there, own - start, 0)[:, None]
                s.scatter_(1, at, s.gather(1, at).masked_fill_(there[:, None], float("-inf")))
            s, at = _passing(s, best, k)
            best, rows = torch.cat([best, s], dim=1), torch.cat([rows, at.add_(start)], dim=1)
            if best.shape[1] > k:
                best, at = best.topk(k, dim=1, sorted=False)
                rows = rows.gather(1, at)
    best, at = best.sort(dim=1, descending=True)
    return rows.gather(1, at), best


def _passing(s: Tensor, best: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of a block's similarities (N, C) those that may be among the k best, where ``best`` (N, <= k)
    are known: (N, W), -inf where a query has fewer, and their columns."""
    if best.shape[1] == k and s.device.type == "cpu":
        passes = s > best.amin(dim=1, keepdim=True)
        counts = passes.sum(dim=1)
        width = int(counts.max()) if len(counts) else 0
        if width <= k:
            row, column = passes.nonzero(as_tuple=True)
            before = counts.cumsum(0) - counts
            place = torch.arange(len(row)) - before[row]
            values = s.new_full((len(s), width), float("-inf"))
            columns = row.new_zeros(len(s), width)
            values[row, place], columns[row, place] = s[row, column], column
            return values, columns
    return s.topk(min(k, s.shape[1]), dim=1, sorted=False)
