"""Clusters of the data's own features: k-means, as CI-InfoNCE and PCL use it between epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.positives.clusters import Clusters


@dataclass(frozen=True)
class KMeans:
    """A clustering of N features of D numbers.

    clusters   z in 0..K-1; clusters that ended without data are left out, so K can be less than k
    centroids  float32 (K, D)
    distance   float32 (N,), squared Euclidean distance of each feature to its centroid
    """

    clusters: Clusters
    centroids: np.ndarray
    distance: np.ndarray


def kmeans(
    features: np.ndarray,
    k: int,
    *,
    seed: int = 0,
    niter: int = 20,
    nredo: int = 5,
    max_points_per_centroid: int = 1000,
    min_points_per_centroid: int = 10,
) -> KMeans:
    """Lloyd's algorithm in Euclidean distance by faiss, with the settings of CI-InfoNCE's code.

    features  floats (N, D), used as float32; the paper clusters the L2-normalised projections
    nredo     runs of niter iterations from other starts, of which the best is kept; each run sees
              at most k * max_points_per_centroid features, drawn by seed
    min_points_per_centroid  only adds a note where there are fewer

    Equal on repetition with the same seed, faiss and number of threads; across ranks, cluster on
    one and broadcast. Raises UserError for k < 1, more clusters than features, features that are
    not finite, and where faiss is not installed.
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
    clusters = Clusters(z.astype(np.int64), tuple(notes))
    return KMeans(clusters, trainer.centroids[occupied], distance.ravel())


def kmeans_many(
    features: np.ndarray, ks: Sequence[int], *, seed: int = 0, **settings: Any
) -> list[KMeans]:
    """Several clusterings at once, one for each k, with seeds seed, seed + 1, ... (PCL).

    ``settings`` are those of ``kmeans``.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    return [kmeans(x, k, seed=seed + i, **settings) for i, k in enumerate(ks)]


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
