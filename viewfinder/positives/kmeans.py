"""Clusters of the data's own features: k-means, as CI-InfoNCE and PCL use it between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count
from viewfinder.positives.assignment import Assignment, Centroids
from viewfinder.positives.contract import Given, Positives, RefreshedOptions


class KMeansOptions(RefreshedOptions):
    k: Count | Annotated[list[Count], Field(min_length=1, max_length=100)] = Field(
        1000, description="clusters; several for pcl"
    )
    niter: Count = Field(20, description="iterations of a run of k-means")
    nredo: Count = Field(5, description="runs, of which the best is kept")
    max_points_per_centroid: Count = Field(1000, description="features a run uses, over k")

    @property
    def settings(self) -> dict[str, int]:
        """What ``kmeans`` takes beside features, k and seed."""
        return self.model_dump(include={"niter", "nredo", "max_points_per_centroid"})


def kmeans(
    features: np.ndarray,
    k: int,
    *,
    seed: int = 0,
    niter: int = 20,
    nredo: int = 5,
    max_points_per_centroid: int = 1000,
    min_points_per_centroid: int = 10,
) -> Assignment:
    """Lloyd's algorithm in Euclidean distance by faiss, with the settings of CI-InfoNCE's code.

    features  floats (N, D), used as float32; the paper clusters the L2-normalised projections
    nredo     runs of niter iterations from other starts, of which the best is kept; each run sees
              at most k * max_points_per_centroid features, drawn by seed
    min_points_per_centroid  only adds a note where there are fewer

    Returns z int64 (N,), with its centroids; clusters that ended without data are left out, so
    there can be fewer than k. Equal on repetition with the same seed, faiss and number of threads;
    across ranks, cluster on one and broadcast.

    Raises UserError for k < 1, more clusters than features, features that are not finite, and
    where faiss is not installed.
    """
    faiss = _faiss()
    x = np.ascontiguousarray(features, dtype=np.float32)
    _check(x, k)
    n, d = x.shape
    trainer = faiss.Kmeans(
        d,
        k,
        niter=niter,
        nredo=nredo,
        seed=seed,
        max_points_per_centroid=max_points_per_centroid,
        # faiss prints a warning below this; ours is a note
        min_points_per_centroid=max(1, min(min_points_per_centroid, n // k)),
    )
    trainer.train(x)
    distance, nearest = trainer.index.search(x, 1)
    occupied, z = np.unique(nearest.ravel(), return_inverse=True)
    notes = []
    if n < k * min_points_per_centroid:
        notes.append(f"{n} images for {k} clusters: fewer than {min_points_per_centroid} each")
    if len(occupied) < k:
        notes.append(f"{k - len(occupied)} of {k} clusters are empty")
    centroids = Centroids(trainer.centroids[occupied], distance.ravel())
    return Assignment(z.astype(np.int64), notes=tuple(notes), centroids=(centroids,))


def kmeans_many(
    features: np.ndarray, ks: Sequence[int], *, seed: int = 0, **settings: int
) -> Assignment:
    """Several clusterings at once, one for each k, with seeds seed, seed + 1, ... (PCL).

    ``settings`` are those of ``kmeans``. Returns z int64 (N, len(ks)), with all their centroids.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    made = [kmeans(x, k, seed=seed + i, **settings) for i, k in enumerate(ks)]
    return Assignment(
        np.stack([one.clusters for one in made], axis=1),
        notes=tuple(note for one in made for note in one.notes),
        centroids=tuple(one.centroids[0] for one in made),
    )


def _check(x: np.ndarray, k: int) -> None:
    if x.ndim != 2:
        raise ValueError(f"features have shape {x.shape}; (N, D) is expected")
    if k < 1:
        raise UserError(f"k is {k}; a number of clusters is expected", fix="positives.k=1000")
    if k > len(x):
        raise UserError(
            f"k-means with {k} clusters of {len(x)} images; there must be an image for each",
            fix=f"positives.k={max(2, len(x) // 20)}",
        )
    broken = ~np.isfinite(x).all(axis=1)
    if broken.any():
        raise UserError(
            f"{int(broken.sum())} of {len(x)} features are not finite (NaN or infinite), first in "
            f"row {int(broken.argmax())}; the encoder has diverged",
            fix="a smaller optimizer.lr, or precision=32",
        )


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise UserError(
            "k-means needs faiss, which is not installed", fix="pip install faiss-cpu"
        ) from None
    return faiss


def _build(options: KMeansOptions, given: Given) -> Assignment:
    assert given.features is not None  # the row needs them
    several = options.k if isinstance(options.k, list) else [options.k]
    if given.kind == "clusterings":
        return kmeans_many(given.features, several, seed=given.seed, **options.settings)
    return kmeans(given.features, several[0], seed=given.seed, **options.settings)


KMEANS = Positives(
    name="kmeans",
    summary="images near each other in the network's own space, found anew between epochs",
    paper="CI-InfoNCE, Tsai et al. 2021, algorithm 1; PCL, Li et al. 2021",
    options=KMeansOptions,
    build=_build,
    gives=("clusterings", "clusters"),
    needs=("features",),
    sized_by="k",
)
