from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Attributes, Source, Split
from viewfinder.data.splits import (
    UNLABELLED_HELD_OUT,
    canonical_split,
    held_out_rows,
    identities,
    limited_rows,
    select,
    stratified_rows,
    with_test,
)
from viewfinder.data.stored import ArrayData

labels_lists = st.lists(st.integers(0, 6), min_size=1, max_size=80).map(np.array)


@given(labels=labels_lists, data=st.data(), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_every_class_gets_its_share_up_or_down(
    labels: np.ndarray, data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(0, len(labels)))
    rows = stratified_rows(labels, count, np.random.default_rng(seed))
    assert len(rows) == count
    assert np.all(np.diff(rows) > 0)
    for label in np.unique(labels):
        share = count * np.mean(labels == label)
        taken = np.sum(labels[rows] == label)
        assert np.floor(share - 1e-9) <= taken <= np.ceil(share + 1e-9)


@given(labels=labels_lists, seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_held_out_takes_a_fifth_of_every_class_and_never_all(labels: np.ndarray, seed: int) -> None:
    rows = held_out_rows(len(labels), labels, np.random.default_rng(seed))
    assert len(np.unique(rows)) == len(rows)
    for label in np.unique(labels):
        size, taken = np.sum(labels == label), np.sum(labels[rows] == label)
        assert taken == (0 if size == 1 else max(1, round(size / 5)))
        assert taken < size


@pytest.mark.parametrize(
    ("count", "expected"), [(2, 1), (10, 2), (500, 100), (50_000, UNLABELLED_HELD_OUT)]
)
def test_unlabelled_held_out_is_a_capped_fifth(count: int, expected: int) -> None:
    rows = held_out_rows(count, None, np.random.default_rng(0))
    assert len(set(rows.tolist())) == expected
    assert rows.max() < count


def test_limit_depends_on_the_seed_only_and_says_so() -> None:
    labels = np.repeat(np.arange(5), 20)
    rows, note = limited_rows(100, labels, "train", ReadOptions(limit=10, seed=1))
    again, _ = limited_rows(100, labels, "train", ReadOptions(limit=10, seed=1))
    other, _ = limited_rows(100, labels, "train", ReadOptions(limit=10, seed=2))
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(rows, other)
    assert np.bincount(labels[rows]).tolist() == [2] * 5
    assert "10 of 100" in str(note)
    assert "class-balanced" in str(note)
    everything, none = limited_rows(100, labels, "train", ReadOptions(limit=100))
    assert len(everything) == 100
    assert none is None


def split_of(count: int, labels: np.ndarray | None = None, name: str = "train") -> Split:
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split(
        name,
        ArrayData(pixels),
        labels=labels,
        attributes=Attributes(np.arange(count)[:, None], ["number"]),
        paths=[f"{i}.png" for i in range(count)],
        factors={"square": np.arange(count) ** 2},
    )


def test_held_out_parts_are_the_whole_and_everything_stays_aligned() -> None:
    labels = np.arange(50) % 5
    source = with_test(Source("x", {"train": split_of(50, labels)}), seed=3)
    rows = []
    for part in source.splits.values():
        row = part.factors["source_row"]
        rows.extend(row.tolist())
        np.testing.assert_array_equal(part.labels, labels[row])
        np.testing.assert_array_equal(part.factors["square"], row**2)
        assert part.attributes is not None
        np.testing.assert_array_equal(part.attributes.values[:, 0], row)
        assert part.paths == [f"{i}.png" for i in row]
        np.testing.assert_array_equal(part.data.read(np.arange(len(part))).flatten(), row)
    assert sorted(rows) == list(range(50))
    assert source.test is not None
    assert np.bincount(source.test.labels).tolist() == [2] * 5
    assert "10 images, a stratified fifth, were held out with seed 3" in source.notes[-1]


def test_selecting_twice_keeps_the_row_of_the_source() -> None:
    once = select(split_of(9), np.array([8, 5, 2]), "train")
    twice = select(once, np.array([2, 0]), "train")
    assert twice.factors["source_row"].tolist() == [2, 8]
    assert sorted(twice.factors) == ["source_row", "square"]
    assert len(twice.factors) == 2


def test_validation_stands_in_for_test_but_does_not_replace_it() -> None:
    val = split_of(4, name="val")
    source = with_test(Source("x", {"train": split_of(9), "val": val}), 0)
    assert sorted(source.splits) == ["test", "train"]
    assert source.test is not None
    assert source.test.name == "test"
    assert "validation" in source.notes[-1]
    three = Source("x", {"train": split_of(9), "val": val, "test": split_of(5)})
    assert with_test(three, 0) is three


def test_classes_of_one_image_hold_nothing_out() -> None:
    source = with_test(Source("x", {"train": split_of(5, np.arange(5))}), 0)
    assert source.test is None
    assert "none could be held out" in source.notes[-1]


def test_split_names() -> None:
    assert canonical_split("Validation") == "val"
    assert canonical_split("training") == "train"
    assert canonical_split("trains") is None


@pytest.mark.parametrize("options", [{"channels": 0}, {"size": -3}, {"limit": 1}])
def test_senseless_options_are_named(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"data.{next(iter(options))}"):
        ReadOptions(**options)  # type: ignore[arg-type]


@given(before=st.none() | labels_lists, data=st.data(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_what_was_held_out_is_held_out_again_whatever_the_labels_and_the_limit(
    before: np.ndarray | None, data: st.DataObject, seed: int
) -> None:
    count = 40 if before is None else len(before)
    first = with_test(Source("x", {"train": split_of(count, before)}), seed)
    if first.test is None:
        return
    held_out = identities(first.test)
    labels = data.draw(st.none() | st.lists(st.integers(0, 5), min_size=count, max_size=count))
    rows = data.draw(st.lists(st.integers(0, count - 1), min_size=2, unique=True).map(sorted))
    whole = split_of(count, None if labels is None else np.array(labels))
    again = with_test(Source("x", {"train": select(whole, np.array(rows), "train")}), 7, held_out)
    train = identities(again.train)
    if again.test is None:
        assert any("none of the" in note for note in again.notes) or labels is not None
        return
    test = identities(again.test)
    assert set(test.tolist()) <= set(held_out.tolist())
    names = {f"{row}.png" for row in rows}
    assert sorted([*train, *test]) == sorted(names)
    if labels is not None:
        assert np.isin(again.test.labels, again.train.labels).all()
    else:
        assert set(test.tolist()) == set(held_out.tolist()) & names
