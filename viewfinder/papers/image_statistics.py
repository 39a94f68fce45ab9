"""Simple statistics of images, as factors that can be read from features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from viewfinder.data.source import Source, Split

STATISTICS = ("red", "green", "blue", "left_right")
"""Of each image, in [0, 1] and [-1, 1]: the mean of each channel, and how much brighter the left
half is than the right one."""
_AT_ONCE = 512


def with_statistics(source: Source) -> Source:
    """The source with ``STATISTICS`` among the factors of each split; its images have three
    channels."""
    splits = {
        name: replace(split, factors={**split.factors, **statistics(split)})
        for name, split in source.splits.items()
    }
    return replace(source, splits=splits)


def statistics(split: Split) -> dict[str, np.ndarray]:
    """``STATISTICS`` of the images of a split, float64 (N,) each."""
    starts = range(0, len(split), _AT_ONCE)
    parts = [_of(split, np.arange(len(split))[start : start + _AT_ONCE]) for start in starts]
    return dict(zip(STATISTICS, np.concatenate(parts, axis=1), strict=True))


def wanted(targets: Sequence[str | None]) -> bool:
    """Whether any target is one of the statistics."""
    return bool({*targets} & {*STATISTICS})


def _of(split: Split, rows: np.ndarray) -> np.ndarray:
    x = split.data.read(rows).double().numpy() / 255
    half = x.shape[-1] // 2
    left, right = (side.mean(axis=(1, 2, 3)) for side in (x[..., :half], x[..., -half:]))
    return np.stack([*x.mean(axis=(2, 3)).T, left - right])
