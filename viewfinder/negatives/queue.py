"""A queue of the most recent keys (MoCo)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, rows_per_rank, world_size
from viewfinder.negatives.contract import Negatives


class Queue(nn.Module):
    """The last ``size`` keys, as negatives for every query (He et al. 2020, algorithm 1).

    A ring: keys are written at the pointer, row by row, and wrap around where the end is reached,
    so a batch need not divide the size; of a larger batch the last ``size`` keys stay.
    Slots that were never written have index -1 and are never used as negatives. All state is in
    buffers, saved with the weights: vectors (size, dim) as they were given, index and cluster int64
    (size,), pointer. With several processes every rank writes the keys of all ranks in the order of
    the ranks, so the queue is the same everywhere.

    Compute the loss before ``update``, or every positive would be its own negative.

    >>> queue = Queue(size=5, dim=2)
    >>> queue.update(torch.ones(3, 2), torch.tensor([7, 8, 9]))
    >>> queue.filled, queue.propose().index.tolist()
    (3, [7, 8, 9, -1, -1])
    """

    vectors: Tensor
    index: Tensor
    cluster: Tensor
    pointer: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"a queue needs a positive size and dim, not {size} and {dim}")
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("index", torch.full((size,), -1))
        self.register_buffer("cluster", torch.full((size,), -1))
        self.register_buffer("pointer", torch.tensor(0))

    @property
    def filled(self) -> int:
        """How many slots hold a key."""
        return int((self.index >= 0).sum())

    def propose(self, query: Tensor | None = None, index: Tensor | None = None) -> Negatives:
        """All keys, for every query. Vectors are a copy: a later update leaves them alone."""
        return Negatives(self.vectors.clone(), self.index.clone(), self.cluster.clone())

    @torch.no_grad()
    def update(self, key: Tensor, index: Tensor, cluster: Tensor | None = None) -> None:
        """Write keys (N, dim) with their dataset positions and clusters, int64 (N,)."""
        if key.ndim != 2 or key.shape[1] != self.vectors.shape[1] or index.shape != key.shape[:1]:
            raise ValueError(
                f"keys must be (N, {self.vectors.shape[1]}) with one index each, not "
                f"{tuple(key.shape)} and {tuple(index.shape)}"
            )
        if cluster is None:
            cluster = torch.full_like(index, -1)
        if world_size() > 1:
            sizes = rows_per_rank(len(key), key.device)
            key = gather(key, sizes)
            index, cluster = gather(torch.stack([index, cluster], dim=1), sizes).unbind(1)
        self.write(key, index, cluster)

    @torch.no_grad()
    def write(self, key: Tensor, index: Tensor, cluster: Tensor | None = None) -> None:
        """``update`` with the keys of all ranks, where every rank has them already."""
        index = index.to(self.index.device)
        if cluster is None:
            cluster = torch.full_like(index, -1)
        size = len(self.vectors)
        slots = (self.pointer + torch.arange(len(key), device=self.pointer.device)) % size
        slots, last = slots[-size:], slice(-size, None)
        self.vectors[slots] = key[last].to(self.vectors.dtype)
        self.index[slots], self.cluster[slots] = index[last], cluster[last]
        self.pointer.copy_((self.pointer + len(key)) % size)
