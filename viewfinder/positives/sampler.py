"""Pairs from the same cluster, drawn as equation (1) of CI-InfoNCE says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from viewfinder.core.randomness import numpy_generator


@dataclass(frozen=True)
class Members:
    """Who is in which cluster: ``order`` int64 (N,) lists the data cluster by cluster.

    Cluster c is order[start[c] : start[c] + size[c]]; z int64 (N,) as given.
    """

    z: np.ndarray
    order: np.ndarray
    start: np.ndarray
    size: np.ndarray


def members(z: np.ndarray) -> Members:
    """Group the data of a dense assignment z int64 (N,), once for any number of draws."""
    size = np.bincount(z)
    start = np.concatenate(([0], np.cumsum(size)[:-1]))
    return Members(z, np.argsort(z, kind="stable"), start, size)


def draw_pairs(
    groups: Members, n: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """n independent pairs (x, y) from E_{z ~ P_Z}[P(X|z) P(Y|z)], each int64 (n,) of positions.

    A cluster is drawn with the frequency of its data, then x and y from it, independently: x is y
    with probability 1/size, always so in a singleton, where the two views alone differ.
    (CI-InfoNCE, equation 1. A uniform x and a cluster drawn by frequency are the same thing.)
    """
    x = generator.integers(len(groups.z), size=n)
    cluster = groups.z[x]
    y = groups.order[groups.start[cluster] + generator.integers(groups.size[cluster])]
    return x, y


def pairs_of_step(
    groups: Members, n: int, *, seed: int, epoch: int, step: int, rank: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The n pairs of one step of a run: equal whenever asked again, other ones on each rank."""
    generator = numpy_generator(seed, "positives/pairs", epoch=epoch, step=step, rank=rank)
    return draw_pairs(groups, n, generator)
