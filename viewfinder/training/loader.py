"""From a split to batches: the loader reads and decodes, nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as TorchSampler

from viewfinder.core.errors import UserError
from viewfinder.data.batch import Batch
from viewfinder.data.source import Split, layers_of, sides_of
from viewfinder.positives.sampler import SHUFFLE, Epoch, Sampler


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
            data=self.split.data.read(index),
            index=torch.from_numpy(index),
            label=None if labels is None else torch.from_numpy(labels[index].astype(np.int64)),
            factors=layers_of(self.split.data, index),
            sides=sides_of(self.split.data, index),
        )


class EpochBatches(TorchSampler[list[int]]):
    """The batches of one epoch, a function of (seed, epoch) alone, dealt out over the ranks.

    rows     int64 (n,), the positions to train on
    sampler  says which of them make a batch; see ``viewfinder.positives.sampler``
    z        called at the start of an epoch, gives Z, int64 (N,), where there are clusters
    Every rank gets the same number of equal batches; what does not fill one is left for the next
    epoch's other order.
    """

    def __init__(
        self,
        rows: np.ndarray,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        sampler: Sampler = SHUFFLE,
        z: Callable[[], np.ndarray | None] = lambda: None,
    ) -> None:
        n = len(rows)
        if batch_size > n:
            raise UserError(
                f"batch_size is {batch_size} but there are only {n} images to train on",
                fix=f"batch_size={max(2, 2 ** int(np.log2(max(n, 2))) // 2)}",
            )
        if batch_size % world:
            raise UserError(f"batch_size is {batch_size}, not a multiple of {world} devices")
        if sampler.pairs and (batch_size // world) % 2:
            raise UserError(
                f"batch_size is {batch_size}: with positives.sampler={sampler.name} a device's "
                "share is made of pairs and must be even",
                fix=f"batch_size={batch_size // (2 * world) * 2 * world or 2 * world}",
            )
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.rank, self.world, self.epoch = rank, world, 0
        self.draws, self.z = sampler, z

    @property
    def sampler(self) -> EpochBatches:
        """Itself: where the training engine looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch = Epoch(
            self.rows,
            steps=len(self),
            share=self.batch_size // self.world,
            seed=self.seed,
            number=self.epoch,
            rank=self.rank,
            world=self.world,
            z=self.z(),
        )
        for batch in self.draws.batches(epoch):
            yield batch.tolist()


class Batches(DataLoader[Batch]):
    """A loader that asks for its batches with the first one that is taken from it.

    The engine makes the first iterator before it sets the epoch and before Z of that epoch is made;
    worker processes would be sent the batches of another epoch, or of an older Z, at once.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        yield from super().__iter__()


def loader(
    split: Split,
    rows: np.ndarray | None = None,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    sampler: Sampler = SHUFFLE,
    z: Callable[[], np.ndarray | None] = lambda: None,
) -> Batches:
    """Batches of ``batch_size // world`` images for this rank, in the order of (seed, epoch).

    ``rows`` int64: the positions to train on; None: all of the split. ``sampler`` and
    ``z``: see EpochBatches.
    """
    chosen = np.arange(len(split)) if rows is None else rows
    return Batches(
        SplitDataset(split),
        batch_sampler=EpochBatches(chosen, batch_size, seed, rank, world, sampler, z),
        collate_fn=_as_read,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,
    )


def _as_read(batch: Any) -> Any:
    return batch
