"""From a split to batches: the loader reads and decodes, nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from viewfinder.data.batch import Batch
from viewfinder.data.source import Split
from viewfinder.errors import UserError
from viewfinder.randomness import numpy_generator


class SplitDataset(Dataset[Batch]):
    """A split read a whole batch at a time."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, positions: list[int]) -> Batch:
        index = np.asarray(positions, dtype=np.int64)
        labels = self.split.labels
        return Batch(
            images=self.split.images.read(index),
            index=torch.from_numpy(index),
            label=None if labels is None else torch.from_numpy(labels[index].astype(np.int64)),
        )


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches of one epoch, a function of (seed, epoch) alone, dealt out over the ranks.

    rows  int64 (n,), the positions to train on
    Every rank gets the same number of equal batches; what does not fill one is left for the next
    epoch's other order.
    """

    def __init__(
        self, rows: np.ndarray, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        n = len(rows)
        if batch_size > n:
            raise UserError(
                f"batch_size is {batch_size} but there are only {n} images to train on",
                fix=f"batch_size={max(2, 2 ** int(np.log2(max(n, 2))) // 2)}",
            )
        if batch_size % world:
            raise UserError(f"batch_size is {batch_size}, not a multiple of {world} devices")
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.rank, self.world, self.epoch = rank, world, 0

    @property
    def sampler(self) -> EpochBatches:
        """Itself: where the training engine looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = numpy_generator(self.seed, "order", epoch=self.epoch).permutation(self.rows)
        share = self.batch_size // self.world
        for step in range(len(self)):
            first = step * self.batch_size + self.rank * share
            yield order[first : first + share].tolist()


def loader(
    split: Split,
    rows: np.ndarray | None = None,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[Batch]:
    """Batches of ``batch_size // world`` images for this rank, in the order of (seed, epoch).

    ``rows`` int64: the positions to train on; None: all of the split.
    """
    chosen = np.arange(len(split)) if rows is None else rows
    return DataLoader(
        SplitDataset(split),
        batch_sampler=EpochBatches(chosen, batch_size, seed, rank, world),
        collate_fn=_as_read,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,
    )


def _as_read(batch: Any) -> Any:
    return batch
