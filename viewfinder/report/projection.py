"""Embeddings on a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from viewfinder.core.randomness import derive, numpy_generator

MOST = 5000
"""Points of a map: more hide one another."""
LAID_OUT = 1500
"""Points that are laid out by t-SNE, which takes long; others are placed among these."""


@dataclass(frozen=True)
class Projection:
    """Places float32 (N, 2) and how they were found, in words."""

    places: np.ndarray
    how: str


def thin(count: int, seed: int, most: int = MOST) -> np.ndarray:
    """At most ``most`` of ``count`` indices, drawn without replacement by seed, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(numpy_generator(seed, "report").choice(count, most, replace=False))


def project(vectors: np.ndarray, seed: int) -> Projection:
    """Lay embeddings (N, D) out on a plane; equal inputs give equal maps.

    The rows are normalised to length 1 and reduced to their 50 first principal components, on which
    t-SNE (van der Maaten and Hinton 2008) runs with Euclidean distance. Fewer than 30 rows, or rows
    that span fewer than two directions, are shown by their two first principal components. Of more
    than 1,500 rows so many are laid out, drawn by seed, and each other is placed among the three of
    these most similar to it, at the mean of their places weighted by exp(similarity / 0.02): new
    points of a finished map, as in Poličar et al. (2019, section 2.3), without moving any.

    Raises ValueError where ``vectors`` is not (N, D) or not finite.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(f"finite embeddings (N, D) expected, got {vectors.shape}")
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norm, out=np.zeros_like(vectors, np.float64), where=norm > 0)
    # One thread: sums taken in another order would grow into another map.
    with threadpool_limits(1):
        components = _components(unit, seed)
        if len(vectors) < 30 or components.shape[1] < 2:
            flat = np.zeros((len(vectors), 2), np.float32)
            flat[:, : components.shape[1]] = components[:, :2]
            return Projection(flat, "the two first principal components of the unit embeddings")
        if len(vectors) <= LAID_OUT:
            return _tsne(components, seed)
        drawn = thin(len(vectors), seed, LAID_OUT)
        laid_out = _tsne(components[drawn], seed)
        return Projection(
            _among(unit, drawn, laid_out.places),
            f"{laid_out.how}, of {len(drawn):,} images; the others are placed among the three of "
            "these most similar to them",
        )


def _among(unit: np.ndarray, drawn: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places float32 (N, 2) of all rows: those of ``drawn``, and the others among them."""
    found = np.empty((len(unit), 2), np.float32)
    others = np.setdiff1d(np.arange(len(unit)), drawn)
    similarity = unit[others] @ unit[drawn].T
    near = np.argsort(-similarity, axis=1, kind="stable")[:, :3]
    value = np.take_along_axis(similarity, near, axis=1)
    weight = np.exp((value - value[:, :1]) / 0.02)
    weight /= weight.sum(axis=1, keepdims=True)
    found[drawn] = places
    found[others] = (places[near] * weight[..., None]).sum(axis=1)
    return found


def _components(unit: np.ndarray, seed: int) -> np.ndarray:
    """The first principal components, at most 50, along which the rows differ at all."""
    from sklearn.decomposition import PCA

    if min(unit.shape) == 0 or np.ptp(unit, axis=0).max() < 1e-6:
        return np.zeros((len(unit), 0))
    pca = PCA(min(50, *unit.shape), random_state=derive(seed, "report") % 2**32)
    components = pca.fit_transform(unit)
    return components[:, np.sqrt(pca.explained_variance_) > 1e-6]


def _tsne(components: np.ndarray, seed: int) -> Projection:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, len(components) / 4)
    layout = TSNE(
        perplexity=perplexity,
        init="pca",
        learning_rate="auto",
        metric="euclidean",
        random_state=derive(seed, "report") % 2**32,
        n_jobs=1,
    )
    places = layout.fit_transform(components.astype(np.float32))
    return Projection(
        np.asarray(places, np.float32),
        f"t-SNE (perplexity {perplexity:g}, Euclidean distance, seed {seed}) of the "
        f"{components.shape[1]} first principal components of the unit embeddings",
    )
