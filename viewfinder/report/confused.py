"""Which classes are taken for which, by the vote of an image's neighbours on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfinder.report.content import Embedded

DIFFERENCE = 2.0
"""Mean absolute difference of two thumbnails, in levels of 256, up to which they look the same."""
DEVIATIONS = 5.0
"""How many deviations above the median the angle of an image to its neighbours is unusual."""


@dataclass(frozen=True)
class Confusion:
    """Images of one class that their neighbours say are of another; rows of the map."""

    label: int
    taken_for: int
    rows: Sequence[int]


def votes(embedded: Embedded, near: np.ndarray) -> np.ndarray | None:
    """The class that most of each image's neighbours int64 (N, k) have, of equally many the one of
    the nearest: int64 (N,), -1 where none has a label; None where there are no labels.

    >>> labels = np.array([0, 0, 1])
    >>> votes(Embedded(np.eye(3), labels=labels), np.array([[1, 2], [0, 2], [0, 1]])).tolist()
    [0, 0, 0]
    """
    if embedded.labels is None or not near.size:
        return None
    labels, found = embedded.labels, np.full(len(embedded), -1, np.int64)
    for row, neighbours in enumerate(labels[near]):
        known = neighbours[neighbours >= 0]
        if len(known):
            values, first, counts = np.unique(known, return_index=True, return_counts=True)
            found[row] = values[np.lexsort((first, -counts))[0]]
    return found


def judged(embedded: Embedded) -> np.ndarray:
    """Rows whose neighbours' vote is judged: labelled ones, of the test part where there is one."""
    assert embedded.labels is not None
    known = embedded.labels >= 0
    test = np.array([split == "test" for split in embedded.splits], bool)
    return np.flatnonzero(known & test if len(test) and (known & test).any() else known)


def confusions(embedded: Embedded, voted: np.ndarray, most: int = 6) -> list[Confusion]:
    """The pairs of classes that are most often confused, at most ``most`` of them."""
    assert embedded.labels is not None
    rows = judged(embedded)
    rows = rows[(voted[rows] >= 0) & (voted[rows] != embedded.labels[rows])]
    found: dict[tuple[int, int], list[int]] = {}
    for row in rows.tolist():
        found.setdefault((int(embedded.labels[row]), int(voted[row])), []).append(row)
    pairs = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:most]
    return [Confusion(label, other, rows) for (label, other), rows in pairs]


def weakest(embedded: Embedded, voted: np.ndarray, most: int = 8) -> list[tuple[int, float, int]]:
    """The classes of which the fewest images are told right: class, share, images; the worst
    first."""
    assert embedded.labels is not None
    rows = judged(embedded)
    labels, right = embedded.labels[rows], voted[rows] == embedded.labels[rows]
    shares = [
        (int(c), float(right[labels == c].mean()), int((labels == c).sum()))
        for c in np.unique(labels)
    ]
    return sorted(shares, key=lambda share: share[1])[:most]


def look_alikes(embedded: Embedded, near: np.ndarray) -> tuple[int, int] | None:
    """How many images look the same as one of their neighbours, and how many of these as one of
    another split; None where there are no pictures."""
    if embedded.thumbnails is None or not near.size:
        return None
    pictures = embedded.thumbnails.reshape(len(embedded), -1).astype(np.float32)
    splits = np.unique(embedded.splits, return_inverse=True)[1] if embedded.splits else None
    same = np.zeros(len(embedded), bool)
    across = np.zeros(len(embedded), bool)
    for column in near.T:
        alike = np.array(
            [np.abs(a - pictures[j]).mean() <= DIFFERENCE for a, j in zip(pictures, column)]  # noqa: B905
        )
        alike &= pictures.std(axis=1) > DIFFERENCE  # pictures of one colour are all alike
        same |= alike
        if splits is not None:
            across |= alike & (splits != splits[column])
    return int(same.sum()), int(across.sum())


def strangers(similarity: np.ndarray) -> int:
    """How many images have a wider angle to their neighbours than is usual, by the mean cosine
    similarity (N, k); the deviation is 1.4826 times the median of absolute deviations."""
    if not similarity.size:
        return 0
    angle = np.arccos(similarity.mean(axis=1).clip(-1, 1))
    middle = np.median(angle)
    deviation = 1.4826 * np.median(np.abs(angle - middle))
    return int((angle > middle + DEVIATIONS * deviation).sum()) if deviation > 0 else 0
