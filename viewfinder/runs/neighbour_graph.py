"""The k nearest neighbours of every image in a run's embedding: built once, kept as Parquet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import file_of, replacing, writing
from viewfinder.runs.embeddings import Embeddings, as_text, unit_rows

NEIGHBOURS = 30
"""Neighbours of each image that a run's graph holds."""
EXACT_BELOW = 100_000
"""Images from which on only the likeliest cells of an inverted file are searched."""
PROBED = 64
"""Cells that are searched for a query, of the 4 √N there are."""
CHECKED = 1_000
"""Queries whose neighbours are searched exactly too, for the recall that the graph states."""


@dataclass(frozen=True)
class NeighbourGraph:
    """The nearest others of each of N images by cosine similarity.

    near        int64 (N, k), rows of the embedding file, the nearest first, never the image itself
    similarity  float32 (N, k), in -1..1, descending
    about       how it was made: metric, k, method, recall and whatever else was said of it
    """

    near: np.ndarray
    similarity: np.ndarray
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.near.ndim != 2 or self.near.shape != self.similarity.shape:
            raise ValueError(f"{self.near.shape} neighbours, {self.similarity.shape} similarities")
        if self.near.size and not 0 <= self.near.min() <= self.near.max() < len(self.near):
            raise ValueError("a neighbour is no row of the graph")

    def __len__(self) -> int:
        return len(self.near)

    @property
    def k(self) -> int:
        """Neighbours of each image."""
        return self.near.shape[1]


def nearest_neighbours(
    vectors: np.ndarray,
    k: int = NEIGHBOURS,
    *,
    exact_below: int = EXACT_BELOW,
    about: Mapping[str, str] | None = None,
) -> NeighbourGraph:
    """The graph of vectors float (N, D), by faiss: k others of each, all where there are fewer.

    Below ``exact_below`` images every similarity is computed. Beyond, an inverted file of 4 √N
    cells (Sivic and Zisserman 2003) is searched in the 64 cells nearest to each query, and
    ``about["recall"]`` says which share of the exact neighbours of 1,000 queries was found so.

    Raises UserError where there are fewer than 2 vectors, or k is below 1.

    >>> graph = nearest_neighbours(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), 1)
    >>> graph.near.tolist(), graph.about["method"]
    ([[1], [0], [1]], 'exact')
    """
    count = len(vectors)
    if count < 2 or k < 1:
        raise UserError(
            f"{k} neighbours of {count} images: at least one, of at least two, is expected"
        )
    k = min(k, count - 1)
    unit = np.ascontiguousarray(unit_rows(vectors))
    facts = {"metric": "cosine", "k": str(k)}
    if count < exact_below:
        near, similarity = _others(*_exact(unit, unit, k + 1), np.arange(count))
        facts |= {"method": "exact", "recall": "1"}
    else:
        near, similarity, facts["method"] = _by_cells(unit, k)
        facts["recall"] = f"{_recall(unit, near):.4f}"
    return NeighbourGraph(near, similarity.clip(-1, 1), {**facts, **(about or {})})


def _exact(queries: np.ndarray, table: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities (n, k) and rows of the table (n, k)."""
    import faiss

    similarity, near = faiss.knn(queries, table, k, metric=faiss.METRIC_INNER_PRODUCT)
    return similarity, near


def _by_cells(unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, str]:
    import faiss

    count, dim = unit.shape
    cells = round(4 * math.sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.min_points_per_centroid = 1  # faiss prints a warning below it
    index.train(unit)
    index.add(unit)
    index.nprobe = min(PROBED, cells)
    near, similarity = _others(*index.search(unit, k + 1), np.arange(count))
    short = np.flatnonzero((near < 0).any(axis=1))  # whose cells held fewer than k
    if len(short):
        near[short], similarity[short] = _others(*_exact(unit[short], unit, k + 1), short)
    return near, similarity, f"inverted file: {index.nprobe} of {cells} cells searched"


def _others(
    similarity: np.ndarray, near: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours (n, k) of k + 1 that were found, without the query itself; where so many equals of
    it exist that it is not among them, without the last."""
    itself = near == own[:, None]
    itself[~itself.any(axis=1), -1] = True
    shape = (len(near), near.shape[1] - 1)
    return near[~itself].reshape(shape).astype(np.int64), similarity[~itself].reshape(shape)


def _recall(unit: np.ndarray, near: np.ndarray) -> float:
    """The share of the exact neighbours that are in ``near``, over evenly spread queries."""
    rows = np.unique(np.linspace(0, len(unit) - 1, CHECKED).astype(np.int64))
    exact, _ = _others(*_exact(unit[rows], unit, near.shape[1] + 1), rows)
    found = [len(np.intersect1d(a, b)) for a, b in zip(exact, near[rows], strict=True)]
    return float(np.mean(found)) / near.shape[1]


def write_graph(path: Path, graph: NeighbourGraph, of: Embeddings) -> None:
    """Write a graph as Parquet: path (of files), split, index, neighbours and similarity, lists of
    k; ``about`` is the file's metadata. All or nothing; UserError where it cannot be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = partial(_lists, pa, graph.k)
    columns: dict[str, Any] = {} if of.paths is None else {"path": pa.array(of.paths, pa.string())}
    columns |= {
        "split": pa.array(of.split, pa.string()),
        "index": pa.array(of.index, pa.int64()),
        "neighbours": lists(graph.near.astype(np.int32)),
        "similarity": lists(graph.similarity.astype(np.float32)),
    }
    table = pa.table(columns).replace_schema_metadata(dict(graph.about))
    with replacing(path) as temporary, writing(path):
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["split"])


def _lists(pa: Any, k: int, values: np.ndarray) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), k)


def read_graph(path: Path) -> NeighbourGraph:
    """Read what ``write_graph`` wrote. Raises UserError where it is missing or something else."""
    import pyarrow.parquet as pq

    file = file_of(path)
    try:
        table = pq.read_table(file)
        near, similarity = (
            table[name].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
            for name in ("neighbours", "similarity")
        )
        return NeighbourGraph(near.astype(np.int64), similarity, as_text(table.schema.metadata))
    except Exception as error:  # whatever pyarrow and numpy make of what is no such file
        raise UserError(
            f"{path} is no graph of neighbours: {brief(error)}",
            fix="remove it; it is then made anew",
        ) from error
