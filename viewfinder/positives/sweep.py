"""How good is a choice of clusters, before training: a sweep of its parameter, measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from viewfinder.data.source import Attributes
from viewfinder.information.discrete import Unit
from viewfinder.information.shuffled import chances
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attributes import Rare, attributes, rank
from viewfinder.positives.class_tree import Tree
from viewfinder.positives.hierarchy import hierarchy
from viewfinder.positives.kmeans import kmeans
from viewfinder.positives.measured import Measured, measure
from viewfinder.positives.recommend import Recommendation, recommend

_TOP_K = (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)
_KS = (10, 30, 100, 300, 1000, 3000, 10000)


@dataclass(frozen=True)
class Sweep:
    """A sweep of ``parameter``: its rows, the recommendation, and what was said on the way."""

    parameter: str
    rows: Sequence[Measured]
    recommendation: Recommendation
    notes: Sequence[str] = field(default=())


def sweep(
    parameter: str,
    values: Iterable[Any],
    build: Callable[[Any], Assignment],
    labels: np.ndarray | None = None,
) -> Sweep:
    """Measure ``build(value)`` for each value and recommend one; see ``recommend``."""
    rows: list[Measured] = []
    notes: list[str] = []
    clusters: list[np.ndarray] = []
    kept = None if labels is None else labels >= 0
    for value in values:
        made = build(value)
        notes += [note for note in made.notes if note not in notes]
        rows.append(measure(value, made, labels))
        if kept is not None:
            clusters.append(made.clusters)
            kept = kept if made.keep is None else kept & made.keep
    if labels is not None and kept is not None and kept.any():
        by_chance = chances([z[kept] for z in clusters], labels[kept])
        rows = [replace(row, chance=c) for row, c in zip(rows, by_chance, strict=True)]
    return Sweep(parameter, rows, recommend(parameter, rows), notes)


def sweep_attributes(
    table: Attributes,
    labels: np.ndarray | None = None,
    values: Sequence[int] | None = None,
    *,
    min_size: int = 1,
    rare: Rare = "prefix",
) -> Sweep:
    """Sweep top_k of clusters from attributes; by default over a rising list up to all columns."""
    if values is None:
        usable = len(rank(table).columns)
        values = sorted({k for k in _TOP_K if k < usable} | {usable})
    return sweep(
        "top_k",
        values,
        lambda k: attributes(table, top_k=k, min_size=min_size, rare=rare),
        labels,
    )


def sweep_columns(
    table: Attributes, labels: np.ndarray | None, names: Sequence[str], *, min_size: int = 1
) -> Sweep:
    """Sweep the first 1, 2, ... of named columns, at most 20, taken whole."""
    counts = range(1, min(20, len(names)) + 1)
    return sweep(
        "columns",
        counts,
        lambda k: attributes(table, columns=names[:k], min_size=min_size),
        labels,
    )


def sweep_hierarchy(tree: Tree, labels: np.ndarray) -> Sweep:
    """Sweep all levels of a class tree; the labels are those of its classes."""
    levels = range(1, tree.depth + 1)
    return sweep("level", levels, lambda level: hierarchy(tree, labels, level=level), labels)


def sweep_kmeans(
    features: np.ndarray,
    labels: np.ndarray | None = None,
    values: Sequence[int] | None = None,
    *,
    seed: int = 0,
    **settings: int,
) -> Sweep:
    """Sweep k of k-means on features (N, D); by default 10, 30, 100, ... up to N / 10."""
    if values is None:
        values = [k for k in _KS if k <= max(10, len(features) // 10)]
    return sweep("k", values, lambda k: kmeans(features, k, seed=seed, **settings), labels)


def records(found: Sweep, unit: Unit = "bits") -> list[dict[str, Any]]:
    """The sweep as flat rows for a table or a file, entropies in ``unit``."""
    scale = 1 / math.log(2) if unit == "bits" else 1.0
    out = []
    for row in found.rows:
        least, _, median, _, most = row.sizes
        record: dict[str, Any] = {
            found.parameter: row.value,
            "clusters": row.clusters,
            "smallest": least,
            "median": median,
            "largest": most,
            "singletons": row.singletons,
            "in_batch": row.in_batch,
            "H(Z)": row.h_z * scale,
        }
        if row.information is not None:
            i = row.information.bits if unit == "bits" else row.information
            record |= {
                "I(Z;T)": i.i,
                "H(Z|T)": i.h_z_given_t,
                "H(T|Z)": i.h_t_given_z,
                "I-H": i.i - i.h_z_given_t,
                "I by chance": i.i_expected,
                **({} if row.chance is None else {"p of chance": row.chance.p}),
                "I Miller-Madow": i.i_miller_madow,
                "NMI": i.nmi,
                "AMI": i.ami,
            }
        out.append(record)
    return out
