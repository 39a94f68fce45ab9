from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from viewfinder.report import sections
from viewfinder.report.content import Embedded, Gallery, neighbours


def test_neighbours_equal_scikit_learn() -> None:
    vectors = np.random.default_rng(0).normal(size=(80, 7))
    distance, expected = (
        NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute")
        .fit(vectors)
        .kneighbors()
    )
    index, similarity = neighbours(vectors, 5)
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-12)


def test_neighbours_of_ties_zeros_and_too_few() -> None:
    index, similarity = neighbours(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), 9)
    assert index.tolist() == [[1, 2], [2, 0], [1, 0]]
    np.testing.assert_allclose(similarity, [[0, 0], [1, 0], [1, 0]])
    assert neighbours(np.ones((1, 3)), 4)[0].shape == (1, 0)


def test_take_keeps_rows_together(digits: Embedded) -> None:
    some = digits.take(np.array([5, 2]))
    assert some.names == ["scan-5.png", "scan-2.png"]
    assert digits.labels is not None
    assert some.labels is not None
    assert some.labels.tolist() == digits.labels[[5, 2]].tolist()


def test_names_where_there_are_none() -> None:
    bare = Embedded(np.zeros((2, 3), np.float32), labels=np.array([4, -1]), class_names=["a"])
    assert (bare.name(1), bare.class_name(0)) == ("image 1", "a")
    assert (bare.class_name(4), bare.class_name(-1)) == ("class 4", "no label")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Embedded(np.zeros(3)),
        lambda: Embedded(np.zeros((3, 2), np.int64)),
        lambda: Embedded(np.zeros((3, 2)), labels=np.zeros(2, np.int64)),
        lambda: Embedded(np.zeros((3, 2)), names=["a"]),
        lambda: Embedded(np.zeros((3, 2)), thumbnails=np.zeros((3, 4, 4), np.uint8)),
        lambda: Gallery(np.zeros((2, 3, 4, 4, 3))),
        lambda: Gallery(np.zeros((2, 3, 4, 4, 3), np.uint8), [(3, 4, 4)]),
    ],
)
def test_what_does_not_fit_together_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        make()


def test_usage_is_drawn_from_the_most_used_and_put_in_words() -> None:
    found = sections.usage([0.0, 0.5, 0.25, 0.25])
    assert found is not None
    assert found["bars"] == [100, 50, 50, 0]
    assert found["even"] == 50
    # exp(H) of (1/2, 1/4, 1/4) is 2^1.5
    assert "like 2.8 equal ones" in found["words"]
    assert "50.0" in found["words"]
    assert "1 won none" in found["words"]
    assert sections.usage([]) is None
