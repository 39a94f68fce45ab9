"""Clusters made from the labels alone, to study what makes clusters good.

Three families (CI-InfoNCE, appendix F) span the plane of I(Z;T) and H(Z|T):

    fix_conditional  H(Z|T) = 0: whole classes are merged, so I(Z;T) falls from H(T) to 0
    fix_information  I(Z;T) = H(T): classes are split, so H(Z|T) rises from 0 to that of instances
    fix_entropy      H(Z) kept: the clusters of some classes are shuffled, I falls and H(Z|T) rises

The first two repeat the released columns exactly, with seed 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import numpy_generator
from viewfinder.core.ranges import CountOrNone
from viewfinder.core.table import Options
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.contract import Given, Positives
from viewfinder.positives.needs import all_labels

Family = Literal["fix_conditional", "fix_information", "fix_entropy"]


class SyntheticOptions(Options):
    family: Family = Field(
        "fix_information",
        description="what stays as the level rises, see viewfinder.positives.synthetic",
    )
    level: int = Field(0, ge=0, le=60, description="clusters of 2^level neighbours")
    shuffled: CountOrNone = Field(0, description="classes shuffled (family fix_entropy)")


class Configuration(NamedTuple):
    """One synthetic Z: its family, level, and how many classes are shuffled (fix_entropy only)."""

    family: Family
    level: int
    shuffled: int = 0


def configurations(labels: ArrayLike) -> Iterator[Configuration]:
    """All configurations of some labels (N,): 336 for UT-Zappos50K, of which the paper ran 86."""
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    yield from (Configuration("fix_conditional", m) for m in range(_levels(len(counts)) + 1))
    levels = range(_levels(int(counts.max())) + 1)
    yield from (Configuration("fix_information", g) for g in levels)
    yield from (Configuration("fix_entropy", g, i) for g in levels for i in range(len(counts)))


def synthetic(
    labels: ArrayLike, family: Family, level: int, *, shuffled: int = 0, seed: int = 0
) -> Assignment:
    """One synthetic Z from labels (N,) of C classes.

    fix_conditional  the classes in random order, 2^level neighbours merged;
                     level 0 is the labels, ceil(log2 C) one cluster
    fix_information  each class's data in random order, 2^level neighbours together;
                     level 0 is the instances, ceil(log2 of the largest class) the labels
    fix_entropy      the same, then Z shuffled among all data of the first ``shuffled`` of the
                     classes in random order

    Raises UserError for a level or a number of classes out of range.
    """
    classes, t, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    top = _levels(len(classes) if family == "fix_conditional" else int(counts.max()))
    if not 0 <= level <= top:
        raise UserError(
            f"level is {level}; {family} has the levels 0 to {top} for these labels",
            fix=f"positives.level={top}",
        )
    if not 0 <= shuffled <= len(classes) or (shuffled and family != "fix_entropy"):
        raise UserError(
            f"shuffled is {shuffled}; family fix_entropy takes 0 to {len(classes)}, others none",
            fix="positives.shuffled=0",
        )
    if family == "fix_conditional":
        position = np.empty(len(classes), np.int64)
        position[_legacy_permutation(np.arange(len(classes)), seed)] = np.arange(len(classes))
        return Assignment(dense((position >> level)[t]))
    z = _split_classes(t, level, seed)
    if family == "fix_entropy":
        generator = numpy_generator(seed, "positives/synthetic")
        rows = np.flatnonzero(np.isin(t, generator.permutation(len(classes))[:shuffled]))
        z[rows] = generator.permutation(z[rows])
    return Assignment(z)


def _split_classes(t: np.ndarray, level: int, seed: int) -> np.ndarray:
    z = np.empty(len(t), np.int64)
    start = 0
    for rows in np.split(np.argsort(t, kind="stable"), np.cumsum(np.bincount(t))[:-1]):
        own = np.arange(len(rows)) >> level
        z[_legacy_permutation(rows, seed)] = start + own
        start += int(own[-1]) + 1
    return z


def _levels(n: int) -> int:
    """How often n things can be halved until one is left, ceil(log2 n)."""
    return (n - 1).bit_length()


def _legacy_permutation(values: np.ndarray, seed: int) -> np.ndarray:
    # numpy's old generator, not ours: the released columns were drawn with it
    return np.random.RandomState(seed).permutation(values)


def _build(options: SyntheticOptions, given: Given) -> Assignment:
    t = all_labels(given.split, "positives=synthetic")
    return synthetic(t, options.family, options.level, shuffled=options.shuffled, seed=given.seed)


SYNTHETIC = Positives(
    name="synthetic",
    summary="made from the labels, to study I(Z;T) and H(Z|T)",
    paper="CI-InfoNCE, Tsai et al. 2021, appendix F",
    options=SyntheticOptions,
    build=_build,
    needs=("labels",),
)
