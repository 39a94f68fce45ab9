"""Similarities of each query with rows of its own of a table, of which none is kept.

256 queries x 4,096 rows x 128 numbers are half a GiB in float32: rows are gathered, or their
similarities are, a block of queries at a time. What a loss makes of the similarities of a query,
and the slope of it, is asked for while they are there; so the backward pass need not gather again,
and the table may change before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from viewfinder.core.vectors import to_about_one
from viewfinder.negatives.contract import Contrast
from viewfinder.objectives.log_partition import (
    full_precision,
    refuse_second_derivative,
    row_blocks,
)
from viewfinder.objectives.similarity import Similarity, compared

# Where the table has at most so many times the rows of a query, the product with the whole table is
# faster than gathering these: memory is read in order.
DENSE = 32

Reduced = Sequence[tuple[Tensor, Tensor]]
Reduce = Callable[[slice, Tensor], Reduced]


def gathered(
    query: Tensor,
    table: Tensor,
    rows: Tensor | None,
    reduce: Reduce,
    results: int,
    similarity: Similarity = "cosine",
) -> list[Tensor]:
    """Sums over similarities of queries with rows of a table: ``results`` tensors (N,).

    query   float (N, D), divided by the temperature
    table   float (M, D), any scale: normalised here for the cosine
    rows    int64 (N, K), those of each query, -1 for none; None: all rows for every query
    reduce  (block of queries, their similarities (n, K)) -> for each result its value (n,), and its
            derivative by each similarity (n, K), which is 0 where a row does not count. It may
            write into the similarities
    Gradients flow into query and table; there is no second derivative.
    """
    dense = rows is None or len(table) <= DENSE * rows.shape[1]
    whole = dense or table.requires_grad
    if whole:
        table = compared(table, similarity).to(query.dtype)
    ready = whole or similarity == "dot"
    return list(_Gathered.apply(query, table, rows, reduce, results, dense, ready))


def each_or_all(negatives: Contrast) -> tuple[Tensor, Tensor | None]:
    """A table, and the rows of it that are each query's own; None: all of it."""
    table, rows = negatives.table, negatives.rows
    if rows is None or rows.ndim == 2:
        return table, rows
    return table[rows.clamp(min=0)], None


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        table: Tensor,
        rows: Tensor | None,
        reduce: Reduce,
        results: int,
        dense: bool,
        ready: bool,
    ) -> tuple[Tensor, ...]:
        kernel = _Dense(table, rows) if dense else _Copied(table, rows, ready)
        values = [query.new_empty(len(query)) for _ in range(results)]
        slopes = [torch.empty_like(query) for _ in range(results if ctx.needs_input_grad[0] else 0)]
        with full_precision(query):
            for block in row_blocks(len(query), kernel.width, query.device):
                s = kernel.similarities(query, block)
                for i, (value, slope) in enumerate(reduce(block, s)):
                    values[i][block] = value
                    if slopes:
                        slopes[i][block] = kernel.pull(slope, block)
        ctx.kernel, ctx.reduce, ctx.slopes = None, reduce, slopes
        if ctx.needs_input_grad[1]:
            ctx.kernel = kernel
            ctx.save_for_backward(query, table)
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        to_query, to_table = None, None
        if ctx.needs_input_grad[0]:
            pairs = zip(ctx.slopes, gradients, strict=True)
            to_query = torch.stack([slope * g[:, None] for slope, g in pairs]).sum(dim=0)
        if ctx.needs_input_grad[1]:
            query, table = ctx.saved_tensors
            to_table = torch.zeros_like(table)
            with full_precision(query):
                for block in row_blocks(len(query), ctx.kernel.width, query.device):
                    s = ctx.kernel.similarities(query, block)
                    slopes = [slope for _, slope in ctx.reduce(block, s)]
                    pairs = zip(slopes, gradients, strict=True)
                    weights = sum(slope * g[block, None] for slope, g in pairs)
                    ctx.kernel.push(to_table, weights, query, block)
        return to_query, to_table, None, None, None, None, None


class _Dense:
    """By the product with the whole table, of which the similarities asked for are taken."""

    def __init__(self, table: Tensor, rows: Tensor | None) -> None:
        self.table, self.rows, self.width = table, rows, len(table)

    def similarities(self, query: Tensor, block: slice) -> Tensor:
        s = query[block] @ self.table.T
        return s if self.rows is None else s.gather(1, self.rows[block].clamp(min=0))

    def pull(self, weights: Tensor, block: slice) -> Tensor:
        return self._spread(weights, block) @ self.table

    def push(self, to_table: Tensor, weights: Tensor, query: Tensor, block: slice) -> None:
        to_table.addmm_(self._spread(weights, block).T, query[block])

    def _spread(self, weights: Tensor, block: slice) -> Tensor:
        """The weights (n, K) of a query's rows as weights (n, M) of all rows."""
        if self.rows is None:
            return weights
        everywhere = weights.new_zeros(len(weights), len(self.table))
        return everywhere.scatter_add_(1, self.rows[block].clamp(min=0), weights)


class _Copied:
    """By copies of the rows of a block of queries; ``ready``: they need not be normalised."""

    def __init__(self, table: Tensor, rows: Tensor | None, ready: bool) -> None:
        assert rows is not None
        self.table, self.rows, self.ready = table, rows, ready
        self.width = rows.shape[1] * table.shape[1]

    def similarities(self, query: Tensor, block: slice) -> Tensor:
        # of this block, for ``pull`` too
        self.vectors = self.table[self.rows[block].clamp(min=0)].to(query.dtype)
        if not self.ready:
            self.vectors.mul_(to_about_one(self.vectors, 2))
            length = torch.linalg.vector_norm(self.vectors, dim=2)
            self.length = length.masked_fill_(length == 0, 1)
        s = torch.bmm(self.vectors, query[block, :, None]).squeeze(2)
        return s if self.ready else s.div_(self.length)

    def pull(self, weights: Tensor, block: slice) -> Tensor:
        if not self.ready:
            weights = weights / self.length
        return torch.bmm(weights[:, None], self.vectors).squeeze(1)

    def push(self, to_table: Tensor, weights: Tensor, query: Tensor, block: slice) -> None:
        rows = self.rows[block].clamp(min=0).flatten()
        outer = weights[:, :, None] * query[block, None]
        to_table.index_add_(0, rows, outer.flatten(0, 1))
