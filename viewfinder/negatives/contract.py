"""What a proposal of negatives is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Negatives:
    """Vectors to contrast against, and which images they are of.

    vectors  float (K, D) shared by all anchors, or (N, K, D) a set of its own for each anchor
    index    int64 (K,) or (N, K), position in the dataset; -1 marks an empty slot, which is never
             used; None where the images are not known
    cluster  int64 (K,) or (N, K), what counts as the same (Z); -1 where it is not known
    """

    vectors: Tensor
    index: Tensor | None = None
    cluster: Tensor | None = None


class Proposal(Protocol):
    """Where negatives come from. State lives in buffers, is saved, and is equal on every rank."""

    def propose(self, query: Tensor, index: Tensor) -> Negatives:
        """Negatives for anchors ``query`` (N, D) that are the images ``index`` int64 (N,)."""
        ...

    def update(self, key: Tensor, index: Tensor, cluster: Tensor | None = None) -> None:
        """Learn of this step's keys (N, D); called by all ranks, after the loss was computed."""
        ...
