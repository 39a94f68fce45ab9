"""Which pairs of a query and a row of the table are related, and which are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from viewfinder.core.expect import check_whole_numbers, check_word
from viewfinder.negatives.contract import EMPTY, UNKNOWN, Contrast

Stale = Literal["excluded", "positive", "negative"]


@dataclass(frozen=True)
class Relations:
    """The pairs of N queries with what they are contrasted against.

    cluster  int64 (N,), of each query; of G clusterings (N, G), and what is in one cluster in any
             of them is alike; None: only its own key is like it
    stale    what rows of a query's own image are: left out, positives or negatives

    Raises ValueError where contrast and queries do not fit.
    """

    contrast: Contrast
    queries: int
    cluster: Tensor | None = None
    stale: Stale = "excluded"

    def __post_init__(self) -> None:
        check_word("stale", self.stale, Stale)
        if self.cluster is not None:
            check_whole_numbers("cluster", self.cluster)
            if self.cluster.shape[:1] != (self.queries,) or self.cluster.ndim > 2:
                raise ValueError(
                    f"cluster must be ({self.queries},), not {tuple(self.cluster.shape)}"
                )
            if self.contrast.cluster is None:
                raise ValueError("positives by cluster need the clusters of the negatives")
            if self.contrast.cluster.shape[1:] != self.cluster.shape[1:]:
                raise ValueError(
                    f"the clusters of the queries are {tuple(self.cluster.shape)}, those of the "
                    f"negatives {tuple(self.contrast.cluster.shape)}: as many clusterings of both"
                )

    @property
    def has_positives(self) -> bool:
        """Whether rows of the table may be positives."""
        same = self.contrast.own is not None and self.contrast.index is not None
        return self.cluster is not None or (same and self.stale == "positive")

    def left_out(self, block: slice) -> Tensor | None:
        """bool, (n, K) or (K,): no negative and no positive of these queries; None: all are."""
        rows, index = self._rows(block), self._of(self.contrast.index, block)
        out = None if rows is None else rows < 0
        if index is not None:
            out = index == EMPTY if out is None else out | (index == EMPTY)
        if self.stale == "excluded" and (same := self._same_image(block, index)) is not None:
            out = same if out is None else out | same
        return out

    def related(self, block: slice) -> Tensor:
        """bool (n, K): the row is a positive of the query."""
        index, theirs = (self._of(x, block) for x in (self.contrast.index, self.contrast.cluster))
        found = torch.zeros((), dtype=torch.bool, device=self.contrast.table.device)
        if self.cluster is not None and theirs is not None:
            found = (self.cluster[block, None] == theirs) & (theirs >= 0)
            found = found.any(dim=2) if self.cluster.ndim == 2 else found
        if (same := self._same_image(block, index)) is not None:
            found = found | same if self.stale == "positive" else found & ~same
        out = self.left_out(block)
        return found if out is None else found & ~out

    def _same_image(self, block: slice, index: Tensor | None) -> Tensor | None:
        own = self.contrast.own
        return None if own is None or index is None else own[block, None] == index

    def _rows(self, block: slice) -> Tensor | None:
        rows = self.contrast.rows
        return rows if rows is None or rows.ndim == 1 else rows[block]

    def _of(self, x: Tensor | None, block: slice) -> Tensor | None:
        """What x (M,) says of the rows of these queries: (n, K), or (K,) where they are shared."""
        rows = self._rows(block)
        return x if x is None or rows is None else x[rows.clamp(min=0)]

    def groups(self) -> tuple[Tensor | None, Tensor | None]:
        """Shared rows: a group for each query (N,) and each row (K,), such that rows of a query's
        own group and of group -1 do not count for it."""
        everyone = slice(None)
        rows, theirs = self._rows(everyone), self._of(self.contrast.index, everyone)
        if rows is not None:
            theirs = torch.full_like(rows, UNKNOWN) if theirs is None else theirs
            theirs = theirs.masked_fill(rows < 0, EMPTY)
        if theirs is None:
            return None, None
        if self.contrast.own is not None and self.stale == "excluded":
            return self.contrast.own, theirs
        return theirs.new_full((self.queries,), EMPTY), theirs
