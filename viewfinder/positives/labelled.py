"""Batches for learning with few labels: one loader, in which -1 stands for no label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from viewfinder.core.randomness import numpy_generator
from viewfinder.positives.sampler import Epoch, Sampler


def parts_of_batch(size: int, labelled: int, unlabelled: int) -> tuple[int, int]:
    """How many images of a batch have a label, and how many have none: half and half, as equation 3
    of InfoMin takes a batch of each, or what there is.

    >>> parts_of_batch(64, labelled=20, unlabelled=1000), parts_of_batch(64, 900, 10)
    ((20, 44), (54, 10))
    """
    with_label = min(size // 2 if unlabelled else size, labelled)
    without = min(size - with_label, unlabelled)
    return size - without, without


def _half_labelled(epoch: Epoch) -> Iterator[np.ndarray]:
    """Of each part every batch has other images, none of them twice, so that none is its own
    negative; a small part comes back again and again."""
    assert epoch.z is not None  # the labels
    known = epoch.z[epoch.rows] >= 0
    yield from _drawn(epoch, epoch.rows[known], epoch.rows[~known])


def _labelled_alone(epoch: Epoch) -> Iterator[np.ndarray]:
    assert epoch.z is not None  # the labels
    yield from _drawn(epoch, epoch.rows[epoch.z[epoch.rows] >= 0], epoch.rows[:0])


def _drawn(epoch: Epoch, labelled: np.ndarray, rest: np.ndarray) -> Iterator[np.ndarray]:
    sizes = parts_of_batch(epoch.share * epoch.world, len(labelled), len(rest))
    for step in range(epoch.steps):
        draw = numpy_generator(epoch.seed, "order/labelled", epoch=epoch.number, step=step)
        parts = [
            draw.choice(rows, size, replace=False)
            for rows, size in zip((labelled, rest), sizes, strict=True)
            if size
        ]
        yield np.concatenate(parts)[epoch.rank :: epoch.world]  # each rank its share of both


HALF_LABELLED = Sampler(
    name="half-labelled", summary="batches of which half have labels", batches=_half_labelled
)
LABELLED_ALONE = Sampler(
    name="labelled-alone",
    summary="batches of labelled images, as many as of all",
    batches=_labelled_alone,
)
