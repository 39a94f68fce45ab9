from __future__ import annotations

import csv
import io
import lzma
import math
import os
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from viewfinder.commands import clusters
from viewfinder.commands.clusters import show
from viewfinder.data.source import Attributes
from viewfinder.information.discrete import information
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.class_tree import tree_from_paths
from viewfinder.positives.figures import curves, information_plane
from viewfinder.positives.measured import BATCH, measure
from viewfinder.positives.recommend import BALANCE, LARGEST, SCALED
from viewfinder.positives.sweep import (
    Sweep,
    records,
    sweep,
    sweep_attributes,
    sweep_columns,
    sweep_hierarchy,
    sweep_kmeans,
)

DATA = os.environ.get("VIEWFINDER_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="VIEWFINDER_DATA is not set")

RNG = np.random.default_rng(0)
LABELS = np.arange(600) % 6


def world(noise: int = 6) -> Attributes:
    """Three bits that tell the class, then ``noise`` bits that tell nothing; entropies fall."""
    bits = (LABELS[:, None] >> np.arange(3)) & 1
    useless = RNG.random((600, noise)) < 0.2
    return Attributes(np.concatenate([bits, useless], 1).astype(np.int64), list("abcdefghi"))


def test_the_largest_gain_is_found_where_it_lies_within() -> None:
    found = sweep_attributes(world(), LABELS)
    rows = {row.value: row for row in found.rows}
    gains = {k: row.information.i - row.information.h_z_given_t for k, row in rows.items()}  # type: ignore[union-attr]
    assert max(gains, key=gains.__getitem__) == 3
    assert found.recommendation.value == 3
    assert found.recommendation.rule == LARGEST
    assert rows[3].information is not None
    assert rows[3].information.h_t_given_z == 0
    assert list(rows) == list(range(1, 10))


def test_every_number_is_shown_on_80_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    z = {k: np.arange(2000) // k for k in (1, 3, 700)}
    labels = np.arange(2000) % 7
    for parameter in ("top_k", "file"):
        named = {k if parameter == "top_k" else f"/a/long/way/to/a/table/{k}.csv": k for k in z}
        found = sweep(parameter, named, lambda v: Assignment(dense(z[named[v]])), labels)  # noqa: B023
        text = io.StringIO()
        narrow = Console(file=text, width=80)
        monkeypatch.setattr(clusters, "console", lambda shown=narrow: shown)
        show(found, "bits")
        assert "…" not in text.getvalue()
        assert "10.97" in text.getvalue()  # H(Z) = log2 of 2000


def test_at_an_end_of_the_sweep_the_scaled_curves_decide() -> None:
    z = {k: LABELS * 0 + np.arange(600) % 2**k for k in range(1, 9)}
    found = sweep("k", z, lambda k: Assignment(dense(z[k])), LABELS)
    assert found.recommendation.by_rule[LARGEST] == 1
    assert found.recommendation.rule == SCALED
    assert 1 < found.recommendation.value < 8
    assert any("coarser is better" in remark for remark in found.recommendation.remarks)


def test_a_gain_that_is_chance_is_not_believed() -> None:
    order = np.random.default_rng(1).permutation(600)
    z = {k: (order * k) // 600 for k in (2, 10, 100, 400)}
    labels = np.random.default_rng(2).integers(0, 100, 600)  # classes of 6: H(Z|T) stays small
    found = sweep("k", z, lambda k: Assignment(dense(z[k])), labels)
    assert found.recommendation.by_rule[LARGEST] == 400
    assert found.recommendation.value is None
    assert any("tell nothing of your labels" in remark for remark in found.recommendation.remarks)
    crossing = found.recommendation.crossing
    assert crossing is not None
    for row, sign in zip([r for r in found.rows if r.value in crossing], (-1, 1), strict=True):
        assert row.information is not None
        assert sign * (row.information.i - row.information.h_z_given_t) > 0


def chance_of(found: Sweep) -> float:
    """The share of the recommended clusters' I(Z;T) that shuffled labels give too."""
    i = next(r.information for r in found.rows if r.value == found.recommendation.value)
    assert i is not None
    return i.i_expected / i.i


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("told", [0.0, 0.1, 0.3, 1.0])
def test_what_is_recommended_is_never_mostly_chance(seed: int, told: float) -> None:
    """26 yes/no columns over 1,000 images, of which three follow the class in so many images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 16, 1000)
    values = rng.random((1000, 26)) < 0.5
    follow = rng.random((1000, 3)) < told
    values[:, :3] = np.where(follow, (labels[:, None] >> np.arange(3)) & 1, values[:, :3])
    table = Attributes(values.astype(np.int64), [f"c{j}" for j in range(26)])
    found = sweep_attributes(table, labels)
    if told == 0:
        assert found.recommendation.value is None
    for made in (found, sweep_columns(table, labels, table.names)):
        if made.recommendation.value is not None:
            assert chance_of(made) <= 0.5
        else:  # the columns of highest entropy are other ones than those that tell something
            assert told < 1 or made is found


def test_without_labels_cluster_sizes_decide() -> None:
    z = {k: np.arange(1024) % 2**k for k in range(11)}
    found = sweep("k", z, lambda k: Assignment(dense(z[k])))
    assert found.recommendation.rule == BALANCE
    assert found.recommendation.value == 5  # 32 clusters of 32
    assert found.rows[5].information is None


def test_a_single_cluster_is_never_recommended() -> None:
    assert sweep("k", [1], lambda _: Assignment(dense([0, 0, 0]))).recommendation.value is None
    both = sweep("k", [1, 2], lambda k: Assignment(dense(np.arange(8) % k)), np.arange(8) % 2)
    assert both.recommendation.value == 2


def test_row_by_hand() -> None:
    row = measure(7, Assignment(dense([0, 0, 0, 1, 1, 2])), np.array([0, 0, 1, 1, 1, 1]))
    assert (row.value, row.n, row.clusters) == (7, 6, 3)
    assert row.singletons == pytest.approx(1 / 6)
    assert row.sizes == (1, 1.5, 2, 2.5, 3)
    assert row.in_batch == pytest.approx((BATCH - 1) * (3 * 2 + 2 * 1) / (6 * 5))
    assert row.h_z == pytest.approx(-sum(p * math.log(p) for p in (1 / 2, 1 / 3, 1 / 6)))


def test_data_left_out_do_not_count() -> None:
    keep = np.array([True, True, False, True])
    row = measure(1, Assignment(np.array([0, 0, 1, 2]), keep=keep), np.array([5, 5, 6, 7]))
    assert (row.n, row.clusters) == (3, 2)
    assert row.information == information([0, 0, 2], [5, 5, 7])


def test_instance_meets_nobody() -> None:
    row = measure("instance", Assignment(np.arange(50)))
    assert (row.singletons, row.in_batch) == (1, 0)


def test_hierarchy_and_kmeans() -> None:
    paths = {str(c): [f"pair {c // 2}"] for c in range(6)}
    tree = tree_from_paths(paths, list(paths))
    found = sweep_hierarchy(tree, LABELS)
    assert [row.clusters for row in found.rows] == [1, 3, 6]
    assert found.recommendation.value == 3
    assert "root above" in found.notes[0]
    pytest.importorskip("faiss")
    features = np.eye(6, dtype=np.float32)[LABELS] + RNG.normal(0, 0.05, (600, 6))
    near = sweep_kmeans(features, LABELS, [2, 3, 6, 30], niter=10)
    assert near.recommendation.value == 6


def test_records_are_flat_and_in_the_unit_asked_for() -> None:
    found = sweep_attributes(world(2), LABELS)
    bits, nats = records(found, "bits"), records(found, "nats")
    for b, n in zip(bits, nats, strict=True):
        for name in ("H(Z)", "I(Z;T)", "H(Z|T)", "I-H", "I Miller-Madow"):
            assert b[name] * math.log(2) == pytest.approx(n[name])
        assert b["AMI"] == n["AMI"]
    assert set(records(sweep_attributes(world(2)))[0]) == {
        "top_k",
        "clusters",
        "smallest",
        "median",
        "largest",
        "singletons",
        "in_batch",
        "H(Z)",
    }


def test_figures_show_what_was_measured() -> None:
    found = sweep_attributes(world(2), LABELS)
    axes = information_plane(found).axes[0]
    line = axes.lines[0]
    assert list(line.get_ydata()) == [row["I(Z;T)"] for row in records(found)]
    assert list(line.get_xdata()) == [row["H(Z|T)"] for row in records(found)]
    panels = curves(found, accuracy={2: 0.5, 3: 0.7}).axes
    assert [panel.get_ylabel() for panel in panels] == [
        "accuracy",
        "I(Z;T) [bits]",
        "H(Z|T) [bits]",
    ]
    assert list(panels[0].lines[0].get_ydata()) == [0.5, 0.7]
    unlabelled = sweep_attributes(world(2))
    assert len(curves(unlabelled, "nats").axes) == 1
    with pytest.raises(ValueError, match="labels"):
        information_plane(unlabelled)


@needs_data
def test_the_papers_own_clusters() -> None:
    """On the released columns the choice is where users of the files went; on CUB, where of the
    information of their 7 columns three quarters are chance, it is one step coarser."""
    for name, best, chosen, crossing in [
        ("UT-zappos50K", 10, 10, None),
        ("CUB", 7, 5, (7, 10)),
        ("Wider", 9, 9, None),
    ]:
        path = Path(str(DATA)) / "tables" / "cl_infonce" / f"{name}_meta_data_train.csv.xz"
        with lzma.open(path, "rt", newline="") as stream:
            header, *rows = list(csv.reader(stream))
        columns = {
            c: [int(row[i]) for row in rows[:-1]] for i, c in enumerate(header) if "_gran" in c
        }
        t = np.array([int(row[header.index("class")]) for row in rows[:-1]])
        z = {int(c.rsplit("_", 1)[1]): np.array(v) for c, v in columns.items()}
        found = sweep("top_k", sorted(z), lambda k, z=z: Assignment(dense(z[k])), t)  # type: ignore[misc]
        assert best in (found.recommendation.by_rule[rule] for rule in (LARGEST, SCALED))
        assert found.recommendation.value == chosen
        assert found.recommendation.crossing == crossing
