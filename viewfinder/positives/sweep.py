"""How good is a choice of clusters, before training: a sweep of its parameter, measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from viewfinder.data.source import Attributes
from viewfinder.information.discrete import Information, Unit, entropy_of_counts, information
from viewfinder.positives.attributes import Rare, attributes, rank
from viewfinder.positives.clusters import Clusters
from viewfinder.positives.hierarchy import Tree, hierarchy
from viewfinder.positives.kmeans import kmeans
from viewfinder.positives.recommend import Recommendation, recommend

BATCH = 256

_TOP_K = (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)
_KS = (10, 30, 100, 300, 1000, 3000, 10000)


@dataclass(frozen=True)
class Row:
    """One choice of clusters, measured on n data; entropies in nats.

    value        the constructor's parameter
    clusters     K
    sizes        of the clusters: least, 25 %, median, 75 % and greatest
    singletons   share of the data that are alone in their cluster
    in_batch     other data of the same cluster that a datum meets in a batch of ``BATCH``, on
                 average: (BATCH - 1) sum_c n_c (n_c - 1) / (n (n - 1))
    h_z          H(Z)
    information  about labels T, where there are labels
    """

    value: Any
    n: int
    clusters: int
    sizes: tuple[float, float, float, float, float]
    singletons: float
    in_batch: float
    h_z: float
    information: Information | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep of ``parameter``: its rows, the recommendation, and what was said on the way."""

    parameter: str
    rows: Sequence[Row]
    recommendation: Recommendation
    notes: Sequence[str] = field(default=())


def measure(value: Any, clusters: Clusters, labels: np.ndarray | None = None) -> Row:
    """Measure one choice of clusters, against labels int64 (N,) where there are any.

    Data that the clusters leave out (``keep``) do not count.
    """
    z = clusters.z if clusters.keep is None else clusters.z[clusters.keep]
    sizes = np.bincount(z)
    sizes = sizes[sizes > 0]
    n = len(z)
    found = None
    if labels is not None:
        found = information(z, labels if clusters.keep is None else labels[clusters.keep])
    pairs = float(np.sum(sizes * (sizes - 1.0)))
    least, low, middle, high, most = np.quantile(sizes, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Row(
        value=value,
        n=n,
        clusters=len(sizes),
        sizes=(least, low, middle, high, most),
        singletons=float((sizes == 1).sum() / n),
        in_batch=(BATCH - 1) * pairs / (n * max(1, n - 1)),
        h_z=entropy_of_counts(sizes),
        information=found,
    )


def sweep(
    parameter: str,
    values: Iterable[Any],
    build: Callable[[Any], Clusters],
    labels: np.ndarray | None = None,
) -> Sweep:
    """Measure ``build(value)`` for each value and recommend one; see ``recommend``."""
    rows: list[Row] = []
    notes: list[str] = []
    for value in values:
        clusters = build(value)
        notes += [note for note in clusters.notes if note not in notes]
        rows.append(measure(value, clusters, labels))
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
    **settings: Any,
) -> Sweep:
    """Sweep k of k-means on features (N, D); by default 10, 30, 100, ... up to N / 10."""
    if values is None:
        values = [k for k in _KS if k <= max(10, len(features) // 10)]
    return sweep("k", values, lambda k: kmeans(features, k, seed=seed, **settings).clusters, labels)


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
                "I Miller-Madow": i.i_miller_madow,
                "NMI": i.nmi,
                "AMI": i.ami,
            }
        out.append(record)
    return out
