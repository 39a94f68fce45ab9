"""Which images make a batch: shuffled ones, or pairs from the same cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from viewfinder.core.randomness import numpy_generator
from viewfinder.core.table import Row, Table
from viewfinder.positives.assignment import dense
from viewfinder.positives.contract import Kind


@dataclass(frozen=True)
class Epoch:
    """One epoch as one rank sees it: all that its batches follow from.

    rows    int64 (n,), the positions to train on
    steps   how many batches
    share   images of a batch on this rank
    seed    of the run
    number  of the epoch, from 0
    rank    of so many (``world``)
    z       int64 (N,), Z as it is when the epoch starts, where there are clusters
    """

    rows: np.ndarray
    steps: int
    share: int
    seed: int
    number: int = 0
    rank: int = 0
    world: int = 1
    z: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Sampler(Row):
    """A row of the table of samplers.

    batches  of an epoch, each int64 (share,) of positions; the same whenever asked again
    kinds    the forms of positives that it draws from; None: it does not look at them
    pairs    whether a batch is made of pairs: its first half are the pairs' first images, its
             second half their second ones
    """

    batches: Callable[[Epoch], Iterator[np.ndarray]]
    kinds: tuple[Kind, ...] | None = None
    pairs: bool = False


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


def _shuffled(epoch: Epoch) -> Iterator[np.ndarray]:
    """One order of all, dealt out over the ranks; what does not fill a batch is left over."""
    order = numpy_generator(epoch.seed, "order", epoch=epoch.number).permutation(epoch.rows)
    for step in range(epoch.steps):
        first = (step * epoch.world + epoch.rank) * epoch.share
        yield order[first : first + epoch.share]


def _pairs(epoch: Epoch) -> Iterator[np.ndarray]:
    """Pairs from clusters, other ones on each rank."""
    assert epoch.z is not None  # the row works with clusters alone
    groups = members(dense(epoch.z[epoch.rows]))
    place = {"epoch": epoch.number, "rank": epoch.rank}
    for step in range(epoch.steps):
        generator = numpy_generator(epoch.seed, "positives/pairs", step=step, **place)
        yield epoch.rows[np.concatenate(draw_pairs(groups, epoch.share // 2, generator))]


SHUFFLE = Sampler(name="shuffle", summary="batches of shuffled images", batches=_shuffled)

SAMPLERS: Table[Sampler] = Table(
    "sampler",
    (
        SHUFFLE,
        Sampler(
            name="clusters",
            summary="batches of pairs from clusters drawn by size",
            paper="CI-InfoNCE, Tsai et al. 2021, equation 1",
            batches=_pairs,
            kinds=("clusters",),
            pairs=True,
        ),
    ),
)
