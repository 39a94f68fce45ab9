from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from viewfinder.core.errors import UserError
from viewfinder.information.discrete import information
from viewfinder.positives.kmeans import kmeans, kmeans_many

pytest.importorskip("faiss")

CENTERS = np.eye(4, 6, dtype=np.float32) * 5


def blobs(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    t = rng.integers(0, 4, n)
    return (CENTERS[t] + rng.normal(0, 0.3, (n, 6))).astype(np.float32), t


def test_finds_the_clusters_that_sklearn_finds() -> None:
    x, t = blobs()
    found = kmeans(x, 4)
    assert information(found.clusters, t).nmi == pytest.approx(1)
    peer = SklearnKMeans(4, n_init=5, random_state=0).fit(x)
    assert found.centroids[0].distance.sum() == pytest.approx(peer.inertia_, rel=1e-4)
    assert found.notes == ()


def test_assignment_and_distance_are_those_of_the_nearest_centroid() -> None:
    x, _ = blobs(300)
    found = kmeans(x, 7, niter=5, nredo=1)
    square = ((x[:, None] - found.centroids[0].vectors[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(square.argmin(1), found.clusters)
    np.testing.assert_allclose(square.min(1), found.centroids[0].distance, rtol=1e-3, atol=1e-4)


def test_equal_seed_equal_clusters() -> None:
    x, _ = blobs()
    assert (kmeans(x, 9, seed=3).clusters == kmeans(x, 9, seed=3).clusters).all()
    many = kmeans_many(x, [5, 9], seed=2)
    assert many.z is not None
    assert many.z.shape == (400, 2)
    assert [len(one.vectors) for one in many.centroids] == [5, 9]
    assert (many.z[:, 1] == kmeans(x, 9, seed=3).clusters).all()


def test_no_cluster_is_without_data() -> None:
    x = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)  # three different points only
    found = kmeans(x, 6)
    assert set(found.clusters.tolist()) == set(range(found.count))
    assert len(found.centroids[0].vectors) == found.count
    assert any("fewer than 10 each" in note for note in found.notes)


def test_refused() -> None:
    x, _ = blobs(30)
    with pytest.raises(UserError, match="40 clusters of 30 images"):
        kmeans(x, 40)
    with pytest.raises(UserError, match="k is 0"):
        kmeans(x, 0)
    x[7, 0] = np.nan
    with pytest.raises(UserError, match=r"1 of 30 features are not finite.*row 7"):
        kmeans(x, 3)
    with pytest.raises(ValueError, match="shape"):
        kmeans(x[0], 3)
