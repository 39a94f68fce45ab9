from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from viewfinder.core.errors import UserError
from viewfinder.data.source import Attributes
from viewfinder.positives.attributes import attributes, rank

tables = st.integers(1, 40).flatmap(
    lambda n: st.integers(1, 6).flatmap(
        lambda a: st.lists(
            st.lists(st.integers(-1, 2), min_size=a, max_size=a), min_size=n, max_size=n
        )
    )
)


def table(values: object, names: list[str] | None = None, **words: list[str]) -> Attributes:
    array = np.array(values)
    return Attributes(array, names or [f"a{i}" for i in range(array.shape[1])], words)


def same_partition(z: np.ndarray, other: list[object]) -> bool:
    pairs = set(zip(z.tolist(), other, strict=True))
    return len(pairs) == len(set(z.tolist())) == len(set(other))


def refines(fine: np.ndarray, coarse: np.ndarray) -> bool:
    return len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == len(set(fine.tolist()))


def test_ranking_is_by_entropy_of_the_one_hot_columns() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.random(500) < p for p in (0.1, 0.45, 0.02, 0.6, 0.95)], axis=1)
    ranking = rank(table(values.astype(np.int64)))
    want = sorted(
        range(5), key=lambda a: -scipy_entropy([values[:, a].mean(), 1 - values[:, a].mean()])
    )
    assert [c.column for c in ranking.columns] == want
    for c in ranking.columns:
        p = values[:, c.column].mean()
        assert c.entropy == pytest.approx(scipy_entropy([p, 1 - p]))


def test_ranking_one_hots_categories_and_drops_constants() -> None:
    ranking = rank(
        table(
            [[0, 1, 5, -1], [1, 1, 6, 0], [2, 1, 5, 0], [0, 1, 6, 0]],
            ["colour", "same", "two", "gap"],
            colour=["red", "green", "blue"],
        )
    )
    assert ranking.constant == ["same"]
    # two values are one column; ties keep the order of the attributes and their values
    assert [c.name for c in ranking.columns] == [
        "colour=red",
        "two=6",
        "colour=green",
        "colour=blue",
        "gap=0",
    ]
    assert "same" in ranking.notes()[0]


def test_equal_entropies_are_told_apart_by_order_alone() -> None:
    values = np.zeros((10, 2), np.int64)
    values[:3, 1] = 1
    values[3:, 0] = 1  # 7 of 10: the same entropy as 3 of 10
    assert [c.column for c in rank(table(values)).columns] == [0, 1]
    assert [c.column for c in rank(table(values[:, ::-1])).columns] == [0, 1]


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 12))
def test_clusters_are_the_exact_tuples(values: list[list[int]], k: int) -> None:
    data = table(values)
    columns = rank(data).columns
    if not 1 <= k <= len(columns):
        with pytest.raises(UserError, match="top_k"):
            attributes(data, top_k=k)
        return
    tuples = [tuple(row[c.column] == c.value for c in columns[:k]) for row in values]
    z = attributes(data, top_k=k).z
    assert z.dtype == np.int64
    assert same_partition(z, list(tuples))
    assert [int(i) for i in z] == [sorted(set(tuples)).index(t) for t in tuples]


@settings(max_examples=40, deadline=None)
@given(tables)
def test_a_larger_top_k_refines_a_smaller(values: list[list[int]]) -> None:
    data = table(values)
    found = [attributes(data, top_k=k).z for k in range(1, len(rank(data).columns) + 1)]
    for coarse, fine in pairwise(found):
        assert refines(fine, coarse)


def test_more_columns_than_a_machine_word_holds() -> None:
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 2, (40, 200), np.uint8)
    values = kinds[rng.integers(0, 40, 3000)]
    values[:5, 150] ^= 1
    z = attributes(table(values), top_k=len(rank(table(values)).columns)).z
    assert same_partition(z, [row.tobytes() for row in values])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64, bool])
def test_any_integer_type_gives_the_same(kind: type) -> None:
    values = np.random.default_rng(2).integers(0, 2, (300, 7))
    want = attributes(table(values), top_k=5).z
    assert (attributes(table(values.astype(kind)), top_k=5).z == want).all()


def test_named_columns_are_whole_attributes_or_single_values() -> None:
    values = [[0, 0], [1, 0], [2, 1], [0, 1], [2, 0]]
    data = table(values, ["colour", "size"], colour=["red", "green", "blue"])
    assert attributes(data, columns=["colour"]).z.tolist() == [0, 1, 2, 0, 2]
    assert attributes(data, columns=["colour=blue"]).z.tolist() == [0, 0, 1, 0, 1]
    assert same_partition(
        attributes(data, columns=["size", "colour"]).z, [tuple(row) for row in values]
    )
    with pytest.raises(UserError, match="Did you mean 'colour'"):
        attributes(data, columns=["color"])
    with pytest.raises(UserError, match=r"either.*Try: positives.top_k"):
        attributes(data)


def test_a_category_chosen_by_its_values_is_said() -> None:
    data = table([[0, 0], [1, 0], [2, 1], [1, 1]], ["season", "warm"])
    (note,) = attributes(data, top_k=2).notes
    assert "season=1" in note
    assert "positives.columns" in note
    assert attributes(data, columns=["season", "warm"]).notes == ()
    assert attributes(data, columns=["warm"]).notes == ()


def test_constant_columns_are_dropped_and_said() -> None:
    data = table([[0, 1], [1, 1], [0, 1]], ["good", "flat"])
    assert attributes(data, top_k=1).notes == ("dropped: 1 constant attribute (flat)",)
    with pytest.raises(UserError, match=r"top_k is 2, but there are 1 usable columns.*flat"):
        attributes(data, top_k=2)
    assert attributes(data, columns=["good", "flat"]).notes
    with pytest.raises(UserError, match="constant"):
        attributes(data, columns=["flat"])


def prefixes(values: np.ndarray, min_size: int) -> list[object]:
    """Each row's cluster under rare="prefix", by the definition, one row at a time."""
    rows = [tuple(row) for row in values.tolist()]
    out: dict[int, object] = {i: row for i, row in enumerate(rows) if rows.count(row) >= min_size}
    pending = [i for i in range(len(rows)) if i not in out]
    for length in range(values.shape[1] - 1, 0, -1):
        times = Counter(rows[i][:length] for i in pending)
        for i in pending:
            if times[rows[i][:length]] >= min_size:
                out[i] = ("prefix", rows[i][:length])
        pending = [i for i in pending if i not in out]
    out |= dict.fromkeys(pending, "left over")
    return [out[i] for i in range(len(rows))]


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(2, 6))
def test_rare_tuples_are_merged_by_their_longest_shared_prefix(
    values: list[list[int]], min_size: int
) -> None:
    data = table(values)
    columns = rank(data).columns
    if not columns:
        return
    bits = np.array([[row[c.column] == c.value for c in columns] for row in values])
    z = attributes(data, top_k=len(columns), min_size=min_size).z
    assert same_partition(z, prefixes(bits, min_size))
    sizes = np.bincount(z)
    assert (sizes >= 1).all()
    assert (sizes < min_size).sum() <= 1


def test_rare_tuples_as_a_rest_or_as_instances() -> None:
    values = [[0, 0]] * 4 + [[0, 1]] * 3 + [[1, 0], [1, 1], [1, 1]]
    rest = attributes(table(values), top_k=2, min_size=3, rare="rest")
    assert rest.sizes().tolist() == [4, 3, 3]
    alone = attributes(table(values), top_k=2, min_size=3, rare="instance")
    assert alone.sizes().tolist() == [4, 3, 1, 1, 1]
    assert "2 tuples of fewer than 3 images (3 images" in alone.notes[0]
    kept = attributes(table(values), top_k=2)  # the second column has the higher entropy
    assert kept.sizes().tolist() == [4, 1, 3, 2]


def test_entropy_of_a_balanced_column_is_log_two() -> None:
    assert rank(table([[0], [1]])).columns[0].entropy == pytest.approx(math.log(2))
