"""A queue of the most recent keys (MoCo)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.expect import check_whole
from viewfinder.core.ranges import Rows
from viewfinder.core.table import Options
from viewfinder.negatives.contract import (
    EMPTY,
    UNKNOWN,
    Contrast,
    Negatives,
    NegativesRow,
    clusters_of,
    finite_rows,
    no_clusters,
    of_all_ranks,
)


class Queue(Negatives):
    """The last ``size`` keys, as negatives for every query (He et al. 2020, algorithm 1).

    A ring: keys are written at the pointer, row by row, and wrap around where the end is reached,
    so a batch need not divide the size; of a larger batch the last ``size`` keys stay. A key that
    is not finite leaves its slot empty.
    Slots that were never written have index -1 and are never used as negatives. All state is in
    buffers, saved with the weights: table (size, dim) of keys as they were given, index int64
    (size,), cluster int64 (size,) or (size, clusterings) where Z is several clusterings, pointer.
    With several processes every rank writes the keys of all ranks in the order of the ranks, so the
    queue is the same everywhere.

    Compute the loss before ``update``, or every positive would be its own negative. So the first
    step has nothing to contrast with: its loss is 0, and so is the gradient. (MoCo's code begins
    with random vectors in the queue instead, from which the first steps learn to be apart.)

    >>> queue = Queue(size=5, dim=2)
    >>> queue.update(torch.ones(3, 2), torch.tensor([7, 8, 9]))
    >>> queue.filled, queue.index.tolist()
    (3, [7, 8, 9, -1, -1])
    """

    table: Tensor
    index: Tensor
    cluster: Tensor
    pointer: Tensor

    def __init__(self, size: int, dim: int, *, clusterings: int | None = None) -> None:
        super().__init__()
        check_whole("size", size)
        check_whole("dim", dim)
        if clusterings is not None:
            check_whole("clusterings", clusterings)
        self.register_buffer("table", torch.zeros(size, dim))
        self.register_buffer("index", torch.full((size,), EMPTY))
        self.register_buffer("cluster", no_clusters(size, clusterings))
        self.register_buffer("pointer", torch.tensor(0))

    @property
    def filled(self) -> int:
        """How many slots hold a key."""
        return int((self.index != EMPTY).sum())

    def propose(
        self, query: Tensor | None = None, index: Tensor | None = None, z: Tensor | None = None
    ) -> Contrast:
        """All keys, for every query; keys of a query's own image are known by ``index`` (N,).
        The table is a copy: a later update leaves it alone."""
        return Contrast(
            self.table.clone(), index=self.index.clone(), cluster=self.cluster.clone(), own=index
        )

    @torch.no_grad()
    def update(self, keys: Tensor, index: Tensor | None = None, z: Tensor | None = None) -> None:
        """Write keys (N, dim) with their dataset positions and clusters, int64 (N,).

        Without ``index``, or with -2 in it, nobody can tell which keys are of a query's own image:
        a key that is made again before it has left the queue is then its own negative. Raises
        UserError for any other position below 0: -1 marks empty slots.
        """
        if index is None:
            index = torch.full((len(keys),), UNKNOWN, device=keys.device)
        dim, clusterings = self.table.shape[1], self.cluster.shape[1:]
        self.write(*of_all_ranks(keys, index, z, dim, _check_positions, clusterings))

    @torch.no_grad()
    def write(self, keys: Tensor, index: Tensor | None = None, z: Tensor | None = None) -> None:
        """``update`` with the keys of all ranks, where every rank has them already."""
        if index is not None:
            _check_positions(index)
        size, count = len(self.table), len(keys)
        slots = (self.pointer + torch.arange(count, device=self.pointer.device)) % size
        slots, last = slots[-size:], slice(-size, None)
        keys, whole = finite_rows(keys[last].to(self.table))
        self.table[slots] = keys
        known = torch.full_like(slots, UNKNOWN) if index is None else index[last].to(slots.device)
        self.index[slots] = known.masked_fill(~whole, EMPTY)
        self.cluster[slots] = -1 if z is None else z[last].to(slots.device)
        self.pointer.copy_((self.pointer + count) % size)

    @torch.no_grad()
    def relabel(self, z: Tensor) -> None:
        """Look the clusters of every key up anew, in z int64 (N_data,) or (N_data, G)."""
        self.cluster.copy_(clusters_of(self.index, z))


def _check_positions(index: Tensor) -> None:
    """Raise UserError for a key that would be written as an empty slot, and so be lost."""
    wrong = (index < 0) & (index != UNKNOWN)
    if bool(wrong.any()):
        raise UserError(
            f"index has {int(index[wrong][0])}; positions in the dataset from 0, or {UNKNOWN} for "
            "keys of which it is not known what image they are of, are expected",
            fix="index=None, where none is known",
        )


class QueueOptions(Options):
    size: Rows = Field(4096, description="keys in the queue")


QUEUE = NegativesRow(
    name="queue",
    summary="the keys of past steps, the oldest of which make room for this step's",
    paper="MoCo, He et al. 2020, algorithm 1",
    options=QueueOptions,
    bare="size",
    build=lambda o, spec: Queue(o.size, spec.dim, clusterings=len(spec.sizes) or None),
    kind="table",
    needs_momentum=True,
)
