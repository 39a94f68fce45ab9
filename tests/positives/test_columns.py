from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.splits import select
from viewfinder.data.stored import ArrayData
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attribute_file import read_attributes
from viewfinder.positives.columns import ColumnOptions, parse_columns, quantile_bins
from viewfinder.positives.contract import Given
from viewfinder.positives.needs import all_labels
from viewfinder.positives.table import POSITIVES
from viewfinder.positives.tag_matrix import tags_of_cells


def split(n: int, paths: list[str] | None = None, name: str = "train") -> Split:
    return Split(name, ArrayData(torch.zeros(n, 1, 2, 2, dtype=torch.uint8)), paths=paths)


def test_each_column_is_understood_by_itself() -> None:
    parsed = parse_columns(
        {
            "soft": ["1", "0", "1.0"],
            "wet": ["true", "False", "TRUE"],
            "year": ["2010", "2009", "10"],
            "colour": ["red", "", "blue"],
            "tag": ["a;b", "b", ""],
        },
        "attributes.csv",
    )
    table = parsed.attributes
    assert list(table.names) == ["soft", "wet", "year", "colour", "tag=b", "tag=a"]
    assert table.values.tolist() == [
        [1, 1, 2, 1, 1, 1],
        [0, 0, 1, -1, 1, 0],
        [1, 1, 0, 0, 0, 0],
    ]
    assert table.values.dtype == np.int64
    assert table.value_names["year"] == ["10", "2009", "2010"]
    assert table.value_names["colour"] == ["blue", "red"]
    assert any("colour: 1 of 3 values are missing" in note for note in parsed.notes)


@pytest.mark.parametrize("cell", ["", "nan", "maybe"])
def test_a_binary_column_with_something_else_in_it_is_refused(cell: str) -> None:
    cells = {"soft": ["1", "0", cell, "1"]}
    with pytest.raises(UserError, match=r"soft is binary except in 1 of 4 cells .*line 4") as error:
        parse_columns(cells, "attributes.csv")
    assert "categorical=[soft]" in str(error.value)
    values = parse_columns(
        cells, "attributes.csv", ColumnOptions(categorical=["soft"])
    ).attributes.values
    assert values.ravel().tolist() == ([1, 0, 2, 1] if cell == "maybe" else [1, 0, -1, 1])


def test_real_numbers_need_bins() -> None:
    cells = {"price": ["0.5", "1.5", "2.5", "", "3.5"]}
    with pytest.raises(UserError, match=r"price holds real numbers.*positives.bins"):
        parse_columns(cells, "a.csv")
    table = parse_columns(cells, "a.csv", ColumnOptions(bins=2)).attributes
    assert table.values.ravel().tolist() == [0, 0, 1, -1, 1]
    assert table.value_names["price"] == ["[,2)", "[2,)"]
    whole = parse_columns(
        {"age": ["1", "2", "30", "40"]}, "a.csv", ColumnOptions(bins=2, continuous=["age"])
    )
    assert whole.attributes.values.ravel().tolist() == [0, 0, 1, 1]
    with pytest.raises(UserError, match="holds text"):
        parse_columns({"age": ["1", "old"]}, "a.csv", ColumnOptions(bins=2, continuous=["age"]))


def test_bins_are_of_equal_count() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    codes, edges = quantile_bins(values, 4)
    assert np.bincount(codes).tolist() == [250, 250, 250, 250]
    np.testing.assert_allclose(edges, np.quantile(values, [0.25, 0.5, 0.75]))
    repeated, few = quantile_bins(np.array([1.0, 1.0, 1.0, 1.0, 9.0]), 3)
    assert len(few) == 0
    assert set(repeated.tolist()) == {0}


def test_unknown_names_and_no_columns() -> None:
    with pytest.raises(UserError, match="Did you mean 'colour'"):
        parse_columns({"colour": ["a"]}, "a.csv", ColumnOptions(categorical=["color"]))
    with pytest.raises(UserError, match="no columns"):
        parse_columns({}, "a.csv")


def test_sidecar_by_path(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("path,soft,colour\nb.jpg,1,red\nother.jpg,0,green\na.jpg,0,blue\n")
    table = read_attributes(file, split(2, ["a.jpg", "b.jpg"])).attributes
    # numbered over the whole file, so that other splits agree
    assert table.values.tolist() == [[0, 0], [1, 2]]
    some = replace(
        split(3, ["a.jpg", "x.jpg", "y.jpg"]), listed={"a.jpg", "b.jpg", "x.jpg", "y.jpg"}
    )
    found = read_attributes(file, some)
    assert found.attributes.values.tolist() == [[0, 0], [-1, -1], [-1, -1]]
    assert found.known is not None and found.known.tolist() == [True, False, False]
    assert "2 of 3 images have no line (x.jpg, y.jpg)" in found.notes[-2]
    assert "1 of 3 lines name no file of the source (other.jpg)" in found.notes[-1]
    with pytest.raises(UserError, match=r"2 of 3 images have no line.*data.strict=false"):
        read_attributes(file, replace(some, strict=True))
    with pytest.raises(UserError, match=r"none of its 3 lines \(b.jpg, other.jpg, a.jpg\)"):
        read_attributes(file, split(2, ["x.jpg", "y.jpg"]))
    with pytest.raises(UserError, match="keyed by path"):
        read_attributes(file, split(3))


def test_sidecar_by_index_knows_the_rows_of_a_limited_split(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("index,soft\n" + "".join(f"{i},{i % 2}\n" for i in range(6)))
    limited = select(split(6), np.array([1, 4, 5]), "train")
    assert read_attributes(file, limited).attributes.values.ravel().tolist() == [1, 0, 1]
    with pytest.raises(UserError, match=r"1 of 7 images have no line \(6\)"):
        read_attributes(file, replace(split(7), strict=True))


def test_sidecar_by_split_and_index(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("split,index,soft\ntrain,0,0\ntrain,1,1\ntest,0,1\ntest,1,1\n")
    assert read_attributes(file, split(2)).attributes.values.ravel().tolist() == [0, 1]
    assert read_attributes(file, split(2, name="test")).attributes.values.ravel().tolist() == [1, 1]
    held_out = select(split(2), np.array([1]), "val")
    assert read_attributes(file, held_out).attributes.values.ravel().tolist() == [1]


def test_tags_and_their_limits() -> None:
    found = tags_of_cells(["red; shoe", "shoe;;shoe", "", "Red;wool"])
    assert found.names == ("shoe", "Red", "red", "wool")
    assert found.matrix.sum(1).tolist() == [2, 1, 0, 2]
    few = tags_of_cells(["a;b", "a"], min_count=2)
    assert few.names == ("a",)
    assert "1 of 2 tags were left out" in few.notes[0]
    assert tags_of_cells(["a;b;c"], most=2).names == ("a", "b")
    with pytest.raises(UserError, match="no tag is left"):
        tags_of_cells(["a", "b"], min_count=2)
    assert list(found.attributes().names) == list(found.names)


@pytest.mark.parametrize("name", ["attributes", "tags", "file"])
def test_an_image_that_a_table_does_not_name_is_its_own(name: str, tmp_path: Path) -> None:
    """For every row of positives that reads a table of images; the others are as without it."""
    rows = "".join(f"{i}.jpg,{i % 2},{'red;wool' if i % 2 else 'blue'},{i % 3}\n" for i in range(9))
    file = tmp_path / "t.csv"
    file.write_text(f"path,soft,tags,cluster\n{rows}")
    options = POSITIVES[name].options(
        file=str(file), **({"top_k": 2} if name == "attributes" else {})
    )

    def made(lost: int) -> Assignment:
        names = [f"{i}.jpg" for i in range(9)] + [f"lost{i}.jpg" for i in range(lost)]
        kind = POSITIVES[name].gives[0]
        return POSITIVES[name].assign(options, Given(split(9 + lost, names), kind=kind))

    whole, partly = made(0), made(3)
    told = f"{file}: 3 of 12 images have no line (lost0.jpg, lost1.jpg, lost2.jpg): each of them is"
    assert any(note.startswith(told) for note in partly.notes)
    if name == "tags":
        assert partly.tags is not None and whole.tags is not None
        np.testing.assert_array_equal(partly.tags[:9], whole.tags)
        assert not partly.tags[9:].any()
        return
    np.testing.assert_array_equal(partly.clusters[:9], whole.clusters)
    assert (np.bincount(partly.clusters)[partly.clusters[9:]] == 1).all()


def test_images_without_a_label_are_their_own() -> None:
    labelled = replace(split(6), labels=np.array([1, -1, 0, 1, -1, 0]))
    made = POSITIVES["labels"].assign(POSITIVES["labels"].options(), Given(labelled))
    assert made.clusters.tolist() == [1, 2, 0, 1, 3, 0]
    assert made.notes == ("2 images without a label: each is its own",)
    for name in ("synthetic", "hierarchy"):
        assert "labels" in POSITIVES[name].needs
        with pytest.raises(UserError, match="2 of 6 have none"):
            all_labels(labelled, name)


def test_only_the_chosen_columns_are_looked_at() -> None:
    table = {"colour": ["red", "blue"], "price": ["1.5", "2.25"], "half": ["0", "what"]}
    with pytest.raises(UserError, match=r"or leave price out: positives\.columns="):
        parse_columns({"price": table["price"]}, "t.csv")
    for chosen in (["colour"], ["colour=red"]):
        assert parse_columns(table, "t.csv", None, chosen).attributes.names == ["colour"]
    with pytest.raises(UserError, match=r"coulor.*colour"):
        parse_columns(table, "t.csv", None, ["coulor"])
