"""The graph of nearest neighbours: exact where it says so, open about what it misses elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from viewfinder.core.errors import UserError
from viewfinder.runs.embeddings import Embeddings
from viewfinder.runs.neighbour_graph import (
    NeighbourGraph,
    nearest_neighbours,
    read_graph,
    write_graph,
)


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)


def test_the_exact_graph_is_that_of_another_implementation(vectors: np.ndarray) -> None:
    graph = nearest_neighbours(vectors, 7)
    other = NearestNeighbors(n_neighbors=8, metric="cosine", algorithm="brute").fit(vectors)
    distance, near = other.kneighbors(vectors)
    np.testing.assert_array_equal(graph.near, near[:, 1:])
    np.testing.assert_allclose(graph.similarity, 1 - distance[:, 1:], atol=1e-5)
    assert (graph.about["method"], graph.about["metric"], graph.about["k"]) == (
        "exact",
        "cosine",
        "7",
    )


def test_cells_state_the_recall_that_a_full_search_finds(vectors: np.ndarray) -> None:
    many = np.random.default_rng(1).standard_normal((20_000, 16)).astype(np.float32)
    exact, cells = nearest_neighbours(many, 5), nearest_neighbours(many, 5, exact_below=0)
    pairs = zip(exact.near, cells.near, strict=True)
    found = np.mean([len(np.intersect1d(a, b)) / 5 for a, b in pairs])
    assert "64 of 566 cells" in cells.about["method"]
    assert float(cells.about["recall"]) == pytest.approx(found, abs=0.02)
    assert 0.8 < found < 1  # not exact: the search is of cells, and says so


@pytest.mark.parametrize("exact_below", [0, 100_000])
def test_no_image_is_its_own_neighbour_among_any_number_of_copies(exact_below: int) -> None:
    vectors = np.repeat(np.eye(4, dtype=np.float32), 50, axis=0)
    graph = nearest_neighbours(vectors, 6, exact_below=exact_below)
    assert not (graph.near == np.arange(200)[:, None]).any()
    np.testing.assert_allclose(graph.similarity, 1, atol=1e-6)
    assert all(len(set(row)) == 6 for row in graph.near.tolist())


def test_there_are_never_more_neighbours_than_others(vectors: np.ndarray) -> None:
    assert nearest_neighbours(vectors[:4], 30).near.shape == (4, 3)
    for few, k in ((vectors[:1], 3), (vectors, 0)):
        with pytest.raises(UserError, match="at least two"):
            nearest_neighbours(few, k)


def test_a_graph_comes_back_from_its_file_as_it_was(tmp_path: Path, vectors: np.ndarray) -> None:
    names = [f"a/{i}.png" for i in range(300)]
    of = Embeddings(vectors, ["train"] * 200 + ["test"] * 100, np.arange(300), names)
    graph = nearest_neighbours(vectors, 3, about={"model_digest": "abc"})
    write_graph(tmp_path / "g.parquet", graph, of)
    back = read_graph(tmp_path / "g.parquet")
    np.testing.assert_array_equal(back.near, graph.near)
    np.testing.assert_array_equal(back.similarity, graph.similarity)
    assert back.about == graph.about
    assert back.about["model_digest"] == "abc"


def test_a_file_that_is_no_graph_is_named(tmp_path: Path, vectors: np.ndarray) -> None:
    file = tmp_path / "g.parquet"
    with pytest.raises(UserError, match=r"there is no file .*g\.parquet"):
        read_graph(file)
    of = Embeddings(vectors, ["train"] * 300, np.arange(300))
    beyond = NeighbourGraph(np.full((300, 1), 7), np.ones((300, 1), np.float32))
    write_graph(file, beyond, of)
    beyond.near[0] = 300  # it was checked when it was made
    write_graph(file, beyond, of)
    with pytest.raises(UserError, match=r"g\.parquet is no graph of neighbours: .*no row"):
        read_graph(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"g\.parquet is no graph of neighbours"):
        read_graph(file)
