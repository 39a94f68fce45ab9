from __future__ import annotations

import csv
import json
import lzma
import math
import os
from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_mutual_info_score,
    mutual_info_score,
    normalized_mutual_info_score,
)

from viewfinder.information.discrete import counts, entropy, information

GOLDEN = os.environ.get("VIEWFINDER_GOLDEN")
DATA = os.environ.get("VIEWFINDER_DATA")
TABLES = Path(DATA or "") / "tables" / "cl_infonce"
needs_golden = pytest.mark.skipif(not GOLDEN, reason="VIEWFINDER_GOLDEN is not set")
needs_data = pytest.mark.skipif(not DATA, reason="VIEWFINDER_DATA is not set")

labels = st.lists(
    st.tuples(st.sampled_from([-1, 0, 1, 2**40, -(2**62)]), st.integers(-2, 3)), min_size=1
)


@needs_golden
def test_golden_pairs() -> None:
    folder = Path(str(GOLDEN)) / "mi"
    cases = json.loads((folder / "mi_golden.json").read_text())["discrete"]
    arrays = np.load(folder / "mi_golden.npz")
    assert len(cases) == 20
    for name, want in cases.items():
        got = information(arrays[f"d/{name}/Z"], arrays[f"d/{name}/T"])
        assert (got.n, got.clusters, got.classes) == (
            want["n"],
            want["n_clusters"],
            want["n_labels"],
        )
        for key, value in {
            "I_Z_T": got.i,
            "H_Z_given_T": got.h_z_given_t,
            "H_T_given_Z": got.h_t_given_z,
            "H_Z": got.h_z,
            "H_T": got.h_t,
            "I_Z_T_miller_madow": got.i_miller_madow,
            "nmi_arithmetic_sklearn": got.nmi,
            "ami_sklearn": got.ami,
        }.items():
            assert value == pytest.approx(want[key], abs=1e-9, rel=0), (name, key)


def released(name: str) -> tuple[list[str], list[list[str]]]:
    """A released table without its last row, which is a summary."""
    path = TABLES / f"{name}.csv.xz"
    with lzma.open(path, "rt", newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, rows[:-1]


def released_statistics() -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, float]]]:
    for data, statistics in [
        ("UT-zappos50K", "stats_metrics"),
        ("CUB", "stats_"),
        ("Wider", "stats_"),
    ]:
        header, rows = released(f"{data}_meta_data_train")
        path = (
            Path(str(DATA)) / "tables" / "cl_infonce" / f"{data}_meta_data_train_{statistics}.csv"
        )
        columns = {name: i for i, name in enumerate(header)}
        t = np.array([int(row[columns["class"]]) for row in rows])
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                name = row[""]
                z = (
                    np.arange(len(rows))
                    if name == "instance_id"
                    else np.array([int(r[columns[name]]) for r in rows])
                )
                keys = ("I(Y;T)", "H(Y|T)", "H(T|Y)", "H(Y)")
                yield f"{data}/{name}", z, t, {key: float(row[key]) for key in keys}


def exact_bits(z: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """I(Z;T) and H(Z|T) term by term with exact sums, in bits."""
    n = len(z)
    n_z, n_t = Counter(z.tolist()), Counter(t.tolist())
    cells = Counter(zip(z.tolist(), t.tolist(), strict=True))
    i = math.fsum(c / n * math.log2(c * n / (n_z[a] * n_t[b])) for (a, b), c in cells.items())
    h = math.fsum(c / n * math.log2(n_t[b] / c) for (_, b), c in cells.items())
    return i, h


@needs_data
def test_released_cluster_tables() -> None:
    seen = 0
    for name, z, t, want in released_statistics():
        got = information(z, t, unit="bits")
        i, h = exact_bits(z, t)
        assert got.i == pytest.approx(i, abs=1e-12), name
        assert got.h_z_given_t == pytest.approx(h, abs=1e-12), name
        # the printed figures carry the rounding of differences of entropies near 15 bits
        assert got.i == pytest.approx(want["I(Y;T)"], abs=1e-11), name
        assert got.h_z_given_t == pytest.approx(want["H(Y|T)"], abs=1e-11), name
        assert got.h_t_given_z == pytest.approx(want["H(T|Y)"], abs=1e-11), name
        if "Wider" in name:  # there alone the column printed as H(Y) is the entropy of the clusters
            assert got.h_z == pytest.approx(want["H(Y)"], abs=1e-11), name
        seen += 1
    assert seen == 14 + 16 + 16


@needs_data
def test_released_tables_hold_the_cluster_counts_they_state() -> None:
    path = TABLES / "UT-zappos50K_meta_data_train.csv.xz"
    with lzma.open(path, "rt", newline="") as file:
        header, *rows = list(csv.reader(file))
    for column, name in enumerate(header):
        if name.startswith("label_gran"):
            z = np.array([int(row[column]) for row in rows[:-1]])
            assert len(counts(z)) == int(rows[-1][column])


@settings(max_examples=50, deadline=None)
@given(labels)
def test_agrees_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    z, t = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    got = information(z, t)
    assert got.i == pytest.approx(mutual_info_score(t, z), abs=1e-12)
    assert got.nmi == pytest.approx(normalized_mutual_info_score(t, z), abs=1e-9)
    if got.classes > 1 and got.clusters > 1:
        assert got.ami == pytest.approx(adjusted_mutual_info_score(t, z), abs=1e-9)


@pytest.mark.parametrize(("clusters", "classes", "n"), [(300, 40, 5000), (3, 2, 20000), (1, 7, 50)])
def test_agrees_with_sklearn_on_larger_tables(clusters: int, classes: int, n: int) -> None:
    rng = np.random.default_rng(0)
    t = rng.integers(0, classes, n)
    z = np.where(rng.random(n) < 0.5, t % clusters, rng.integers(0, clusters, n))
    got = information(z * 2**40 - 7, t - 2**33)
    assert got.i == pytest.approx(mutual_info_score(t, z), abs=1e-10)
    assert got.ami == pytest.approx(adjusted_mutual_info_score(t, z), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(labels)
def test_chain_rule_and_bounds(pairs: list[tuple[int, int]]) -> None:
    z, t = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    got = information(z, t)
    assert got.h_z == pytest.approx(got.i + got.h_z_given_t, abs=1e-12)
    assert got.h_t == pytest.approx(got.i + got.h_t_given_z, abs=1e-12)
    joint = np.unique(np.stack([z, t]), axis=1, return_inverse=True)[1].ravel()
    assert entropy(joint) == pytest.approx(got.h_z + got.h_t_given_z, abs=1e-12)
    assert 0 <= got.i <= min(got.h_z, got.h_t) + 1e-12
    assert got.h_z <= math.log(got.clusters) + 1e-12


@settings(max_examples=50, deadline=None)
@given(labels, st.integers(0, 2**32 - 1))
def test_order_and_names_do_not_matter(pairs: list[tuple[int, int]], seed: int) -> None:
    z, t = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(z))
    values, codes = np.unique(z, return_inverse=True)
    renamed = rng.permutation(len(values))[codes] * 3 - 1
    one, two = information(z, t), information(renamed[order], t[order])
    for name in ("i", "h_z", "h_z_given_t", "h_t_given_z", "i_miller_madow", "nmi", "ami"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-11)


@settings(max_examples=50, deadline=None)
@given(labels, st.dictionaries(st.integers(-2, 3), st.integers(0, 1)))
def test_merging_clusters_never_raises_information(
    pairs: list[tuple[int, int]], merge: dict[int, int]
) -> None:
    t, z = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    merged = np.array([merge.get(int(v), int(v)) for v in z])
    fine, coarse = information(z, t), information(merged, t)
    assert coarse.i <= fine.i + 1e-12
    assert coarse.h_z <= fine.h_z + 1e-12
    assert coarse.h_z_given_t <= fine.h_z_given_t + 1e-12


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.integers(1, 3))
def test_expected_information_is_the_mean_over_all_shuffles(t: list[int], parts: int) -> None:
    z = np.arange(len(t)) % parts
    shuffled = [information(z, np.array(p)).i for p in permutations(t)]
    assert information(z, np.array(t)).i_expected == pytest.approx(np.mean(shuffled), abs=1e-12)


def test_exact_zeros_where_one_side_decides_the_other() -> None:
    t = np.arange(1000) % 7
    finer = t * 10 + np.arange(1000) % 3
    assert information(t, finer).h_z_given_t == 0
    assert information(finer, t).h_t_given_z == 0


def test_instances_hold_all_labels_but_by_chance_alone() -> None:
    t = np.arange(60) % 4
    got = information(np.arange(60), t)
    assert got.i == pytest.approx(got.h_t)
    assert got.i_expected == pytest.approx(got.h_t, abs=1e-14)
    assert got.ami == pytest.approx(0, abs=1e-12)


def test_units() -> None:
    t = np.array([0, 0, 0, 1, 2])
    z = np.array([0, 1, 0, 1, 1])
    nats = information(z, t)
    bits = information(z, t, unit="bits")
    assert bits == nats.bits
    assert bits.nats.i == pytest.approx(nats.i)
    assert bits.i * math.log(2) == pytest.approx(nats.i)
    assert (bits.nmi, bits.ami, bits.n) == (nats.nmi, nats.ami, nats.n)
    assert entropy(t, unit="bits") == pytest.approx(bits.h_t)
    assert bits.h_z_given_t_miller_madow == pytest.approx(
        bits.h_z_miller_madow - bits.i_miller_madow
    )


@pytest.mark.parametrize(
    ("z", "t", "message"),
    [
        ([], [], "N >= 1"),
        ([0, 1], [0], "same data"),
        ([0.5, 1.0], [0, 1], "integers"),
        ([[0, 1]], [[0, 1]], "vector"),
        (np.array([2**63], np.uint64), [0], "int64"),
    ],
)
def test_refused(z: object, t: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        information(z, t)  # type: ignore[arg-type]
