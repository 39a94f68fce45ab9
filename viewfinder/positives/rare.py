"""What becomes of tuples that only few data have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.positives.tuples import Entry, entry_values


def merge_rare(
    z: np.ndarray, values: np.ndarray, entries: Sequence[Entry], min_size: int, rare: str
) -> tuple[np.ndarray, list[str]]:
    """Clusters without tuples of fewer than ``min_size`` data, int64 (N,), dense; and notes.

    z int64 (N,) are the ranks of the tuples in lexicographic order. Common tuples keep their data
    and come first; see ``attributes`` for what ``rare`` does with the others.
    """
    sizes = np.bincount(z)
    is_rare = sizes < min_size
    few = int(is_rare.sum())
    if few == 0:
        return z, []
    rows = np.flatnonzero(is_rare[z])
    target = np.cumsum(~is_rare) - 1  # new number of each common tuple
    common = int((~is_rare).sum())
    in_all = counted(len(rows), "image")
    told = f"{counted(few, 'tuple')} of fewer than {min_size} images ({in_all} in all)"
    if rare == "instance":
        merged = target[z]
        merged[rows] = common + np.arange(len(rows))
        return merged, [f"{told}: each of these images is its own cluster"]
    if rare == "rest":
        target[is_rare] = common
        return target[z], [f"{told} were put into one cluster"]
    example = np.empty(len(sizes), np.int64)
    example[z] = np.arange(len(z))
    tuples = entry_values(values[example[is_rare]], entries)
    groups, kept, rest = _by_prefix(tuples, sizes[is_rare], min_size)
    target[is_rare] = common + groups
    note = f"{told} were merged where their first attributes agree, into {kept} clusters"
    return target[z], [note + (f"; {rest} images are left over as one cluster" if rest else "")]


def _by_prefix(tuples: np.ndarray, sizes: np.ndarray, min_size: int) -> tuple[np.ndarray, int, int]:
    """Group lexicographically sorted tuples (D, k) by the longest prefix that enough data share.

    Returns the group of each, int64 (D,), the number of groups of at least min_size, and the number
    of data in the group left over (the last one), if any.
    """
    differs = tuples[1:] != tuples[:-1]
    shared = np.where(differs.any(1), differs.argmax(1), tuples.shape[1])  # with the one before
    shared = np.concatenate(([-1], shared))
    group = np.zeros(len(tuples), np.int64)
    pending = np.arange(len(tuples))
    found = 0
    for length in range(tuples.shape[1] - 1, 0, -1):
        begin = np.flatnonzero(shared < length)
        run = np.cumsum(shared < length) - 1
        enough = np.add.reduceat(sizes[pending], begin) >= min_size
        if not enough.any():
            continue
        number = found + np.cumsum(enough) - 1
        group[pending[enough[run]]] = number[run[enough[run]]]
        found += int(enough.sum())
        # runs leave as a whole: what the next run shares with the last one that stays is the least
        # of what lies between
        stays = ~enough[run]
        if not stays.any():
            return group, found, 0
        positions = np.flatnonzero(stays)
        between = np.concatenate(([0], positions[:-1] + 1))
        lowest = np.minimum.reduceat(shared[: positions[-1] + 1], between)
        shared = np.concatenate(([-1], lowest[1:]))
        pending = pending[stays]
    group[pending] = found
    return group, found, int(sizes[pending].sum())
