from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.splits import select
from viewfinder.data.stored import ArrayData
from viewfinder.positives.attribute_file import read_attributes
from viewfinder.positives.columns import ColumnOptions, parse_columns, quantile_bins
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
    with pytest.raises(UserError, match=r"soft is binary but for 1 of 4 cells .*line 4") as error:
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
    with pytest.raises(UserError, match=r"2 of 3 images have no line \(x.jpg, y.jpg\); 2 of 3"):
        read_attributes(file, split(3, ["a.jpg", "x.jpg", "y.jpg"]))
    with pytest.raises(UserError, match="keyed by path"):
        read_attributes(file, split(3))


def test_sidecar_by_index_knows_the_rows_of_a_limited_split(tmp_path: Path) -> None:
    file = tmp_path / "attributes.csv"
    file.write_text("index,soft\n" + "".join(f"{i},{i % 2}\n" for i in range(6)))
    limited = select(split(6), np.array([1, 4, 5]), "train")
    assert read_attributes(file, limited).attributes.values.ravel().tolist() == [1, 0, 1]
    with pytest.raises(UserError, match=r"1 of 7 images have no line \(6\)"):
        read_attributes(file, split(7))


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
