"""Numbering the tuples that the rows of a table form, without a comparison of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_ROWS = 1 << 14
_WORD = 64


class Entry(NamedTuple):
    """One entry of a tuple: a column's value, or with ``value`` whether the column has it."""

    column: int
    value: int | None


def entry_values(values: np.ndarray, entries: Sequence[Entry]) -> np.ndarray:
    """The entries of every row's tuple, (N, len(entries)), in the type of ``values`` or bool."""
    chosen = values[:, [entry.column for entry in entries]]
    if all(entry.value is not None for entry in entries):
        return chosen == np.array([entry.value for entry in entries], dtype=np.int64)
    for i, entry in enumerate(entries):
        if entry.value is not None:
            chosen[:, i] = chosen[:, i] == entry.value
    return chosen


def tuple_ranks(values: np.ndarray, entries: Sequence[Entry]) -> np.ndarray:
    """Each row's tuple as its rank among the observed tuples in lexicographic order, int64 (N,).

    Runs of yes/no entries are packed into 64-bit words first, so a table of N rows costs one sort
    of N numbers for every 64 of them.
    """
    return _refined(_words(values, entries))


def _refined(columns: Iterable[np.ndarray]) -> np.ndarray:
    ranks: np.ndarray | None = None
    for column in columns:
        distinct, codes = np.unique(column, return_inverse=True)
        if ranks is None:
            ranks = codes
        else:
            ranks = np.unique(ranks * np.int64(len(distinct)) + codes, return_inverse=True)[1]
    if ranks is None:
        raise ValueError("a tuple of no entries; at least one is expected")
    return ranks.astype(np.int64)


def _words(values: np.ndarray, entries: Sequence[Entry]) -> Iterable[np.ndarray]:
    start = 0
    while start < len(entries):
        if entries[start].value is None:
            yield values[:, entries[start].column]
            start += 1
            continue
        stop = start
        while stop < min(len(entries), start + _WORD) and entries[stop].value is not None:
            stop += 1
        yield _packed(values, entries[start:stop])
        start = stop


def _packed(values: np.ndarray, entries: Sequence[Entry]) -> np.ndarray:
    """At most 64 yes/no entries as one uint64, the first in the highest place, (N,)."""
    packed = np.zeros((len(values), 8), np.uint8)
    for start in range(0, len(values), _ROWS):
        bits = np.packbits(entry_values(values[start : start + _ROWS], entries), axis=1)
        packed[start : start + _ROWS, : bits.shape[1]] = bits
    return packed.view(">u8").ravel().astype(np.uint64)
