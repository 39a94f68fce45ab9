"""Two runs of the same images: whose neighbours changed, and both embeddings on one map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import same_source
from viewfinder.evaluation.run_images import RunImages
from viewfinder.report.projection import Projection, project, thin
from viewfinder.runs.embeddings import Embeddings
from viewfinder.runs.neighbour_graph import NEIGHBOURS, nearest_neighbours

NEAR = 10
"""Neighbours of each image that are compared."""
ON_MAP = 1000
"""Images on the map, each twice."""


@dataclass(frozen=True)
class Comparison:
    """The n images that two runs have in common.

    rows     int64 (2, n): where each is among the images of the first run and of the second
    near     int64 (2, n, k): its k nearest others in each, as positions among the n, nearest first
    overlap  float64 (n,), 0..1: ``overlap_of`` the two rows of ``near``
    chance   what the mean overlap would be of neighbours drawn at random
    cosine   the mean cosine similarity of an image's two embeddings once these are aligned
    missing  images that only the first run has, and only the second
    """

    rows: np.ndarray
    near: np.ndarray
    overlap: np.ndarray
    chance: float
    aligned: np.ndarray
    first: np.ndarray
    missing: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.overlap)

    @property
    def mean(self) -> float:
        """The mean overlap: 1 where no neighbour changed."""
        return float(self.overlap.mean())

    @property
    def cosine(self) -> float:
        return float((self.first * self.aligned).sum(1).mean())

    @property
    def changed(self) -> np.ndarray:
        """The positions of the images, those whose neighbours changed most first."""
        return np.argsort(self.overlap, kind="stable")

    def map(self, seed: int, most: int = ON_MAP) -> tuple[np.ndarray, np.ndarray, str]:
        """Positions (m,) of the images on a map, places float32 (2, m, 2) in the first run and in
        the second, and how they were found.

        Both embeddings are laid out together, the second aligned to the first before.
        """
        shown = thin(len(self), seed, most)
        found: Projection = project(np.concatenate([self.first[shown], self.aligned[shown]]), seed)
        how = f"{found.how}, of both runs together, the second turned onto the first (Procrustes)"
        return shown, found.places.reshape(2, len(shown), 2), how


def compare(first: RunImages, second: RunImages, k: int = NEAR) -> Comparison:
    """Compare two runs in the images that both have.

    k  neighbours of each image that are compared, 1 to 30

    Raises UserError for runs of different data, for less than two images in common, and another k.
    """
    if not 1 <= k <= NEIGHBOURS:
        raise UserError(f"{k} neighbours: 1 to {NEIGHBOURS} are expected")
    one, other = first.source.spec, second.source.spec
    if not same_source(one, other):
        raise UserError(
            f"{first.run.folder} is of {one}, {second.run.folder} of {other}: runs are compared on "
            "the same images",
            fix="--data SOURCE, which both then look at",
        )
    names = [names_of(images) for images in (first, second)]
    place = {name: row for row, name in enumerate(names[1])}
    common = [(row, place[name]) for row, name in enumerate(names[0]) if name in place]
    if len(common) < 2:
        raise UserError(f"the two runs have {len(common)} images in common; 2 are needed at least")
    rows = np.array(common).T
    near = np.stack(
        [_near(images, own, k) for images, own in zip((first, second), rows, strict=True)]
    )
    before, after = (
        images.embeddings.unit[own] for images, own in zip((first, second), rows, strict=True)
    )
    before, after = same_width(before, after)
    return Comparison(
        rows=rows,
        near=near,
        overlap=overlap_of(near[0], near[1]),
        chance=overlap_by_chance(len(common), near.shape[2]),
        first=before,
        aligned=turned(after, before),
        missing=(len(names[0]) - len(common), len(names[1]) - len(common)),
    )


def names_of(images: RunImages) -> list[tuple[str, str | int]]:
    """What each image is known by in any run of the data: its path, or its split and position
    there, where what was held out counts with what it was held out of."""
    of: Embeddings = images.embeddings
    if of.paths is not None:
        return [("", path) for path in of.paths]
    own = {"test": "train"} if images.source.held_out else {}
    return [(own.get(s, s), int(i)) for s, i in zip(of.split, of.index, strict=True)]


def _near(images: RunImages, rows: np.ndarray, k: int) -> np.ndarray:
    """The k nearest of ``rows`` among these, int64 (n, k), as positions in ``rows``."""
    if len(rows) < len(images.embeddings):  # the graph has neighbours that the other run lacks
        return nearest_neighbours(images.embeddings.vectors[rows], k).near
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows))
    return place[images.graph.near[rows, :k]]


def overlap_of(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """|A ∩ B| / |A ∪ B| of each row of two tables int64 (n, k) of k different entries, float64 (n,)
    (Jaccard 1901).

    >>> overlap_of(np.array([[1, 2, 3]]), np.array([[3, 2, 9]]))
    array([0.5])
    """
    shared = (one[:, :, None] == other[:, None, :]).any(2).sum(1)
    return np.asarray(shared / (one.shape[1] + other.shape[1] - shared))


def overlap_by_chance(n: int, k: int) -> float:
    """The expected overlap of two sets of k drawn at random from n - 1 others, who share a
    hypergeometric number.

    >>> round(overlap_by_chance(3, 1), 6)
    0.5
    """
    from scipy.stats import hypergeom

    shared = np.arange(k + 1)
    return float((hypergeom(n - 1, k, k).pmf(shared) * shared / (2 * k - shared)).sum())


def same_width(*tables: np.ndarray) -> Sequence[np.ndarray]:
    """Tables (n, D) with columns of zeros added until all are as wide as the widest."""
    width = max(table.shape[1] for table in tables)
    return [np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in tables]


def turned(rows: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rows float (n, D) turned and mirrored as a whole so that they lie nearest to ``onto``.

    The orthogonal Procrustes problem: R = UVᵀ of the singular value decomposition of rowsᵀ onto
    minimises ‖rows R - onto‖ (Schönemann 1966). Distances and angles among the rows stay.
    """
    u, _, v = np.linalg.svd(rows.T.astype(np.float64) @ onto)
    return np.asarray(rows @ (u @ v), np.float32)
