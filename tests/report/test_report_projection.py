from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from viewfinder.report.content import Embedded
from viewfinder.report.projection import project, thin


def test_the_map_is_repeated_by_its_seed_and_keeps_neighbours(digits: Embedded) -> None:
    first, again = project(digits.vectors, 1), project(digits.vectors, 1)
    np.testing.assert_array_equal(first.places, again.places)
    assert first.places.shape == (60, 2)
    assert first.places.dtype == np.float32
    assert "t-SNE (perplexity 15, Euclidean distance, seed 1)" in first.how
    # 1 is a perfect map of neighbourhoods, about 0.5 a random one.
    assert trustworthiness(digits.vectors, first.places, n_neighbors=5, metric="cosine") > 0.85


def test_few_points_are_shown_by_principal_components() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 6))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = PCA(2).fit_transform(unit)
    found = project(vectors, 0)
    np.testing.assert_allclose(np.abs(found.places), np.abs(expected), atol=1e-6)
    assert "principal components" in found.how


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((50, 8)),
        np.zeros((50, 8)),
        np.ones((1, 4)),
        np.ones((40, 1)),
        np.zeros((0, 4)),
        np.zeros((4, 0)),
        np.outer(np.linspace(-1, 1, 50), np.ones(3)),
    ],
    ids=["collapsed", "zeros", "one row", "one column", "no rows", "no columns", "a line"],
)
def test_degenerate_embeddings_have_a_map(vectors: np.ndarray) -> None:
    found = project(vectors, 0)
    assert found.places.shape == (len(vectors), 2)
    assert np.isfinite(found.places).all()


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        project(np.array([[np.nan, 1.0]]), 0)


def test_thin_draws_without_replacement_by_seed() -> None:
    assert thin(5, 0).tolist() == [0, 1, 2, 3, 4]
    drawn = thin(1000, 0, most=100)
    assert len(set(drawn.tolist())) == 100
    assert (np.diff(drawn) > 0).all()
    assert drawn.tolist() == thin(1000, 0, most=100).tolist() != thin(1000, 1, most=100).tolist()
