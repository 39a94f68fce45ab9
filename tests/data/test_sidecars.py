from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.data.sidecars.labels import checked_attributes, checked_labels, encode
from viewfinder.data.sidecars.read import align, label_column, read_sidecar


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_aligned_whatever_the_order_and_slashes(tmp_path: Path) -> None:
    file = write(tmp_path / "l.csv", "label,path,colour\ndog,b\\2.jpg,red\ncat,./a/1.jpg,blue\n")
    sidecar = read_sidecar(file)
    assert sidecar.columns["colour"] == ["red", "blue"]
    assert align(sidecar, {"train": ["a/1.jpg", "b/2.jpg"]})["train"].tolist() == [1, 0]
    assert label_column(file, {"train": ["a/1.jpg", "b/2.jpg"]})[0]["train"].tolist() == [
        "cat",
        "dog",
    ]


def test_byte_order_mark_quotes_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "l.csv"
    file.write_bytes('\ufeffpath,label\n"a,b.jpg","x ""y"""\n\nc.jpg,z\n'.encode())
    assert label_column(file, {"train": ["c.jpg", "a,b.jpg"]})[0]["train"].tolist() == [
        "z",
        'x "y"',
    ]


def test_index_with_and_without_splits(tmp_path: Path) -> None:
    file = write(tmp_path / "l.csv", "index,label\n1,b\n0,a\n")
    assert label_column(file, {"train": 2})[0]["train"].tolist() == ["a", "b"]
    with pytest.raises(UserError, match="add a column split"):
        label_column(file, {"train": 2, "test": 2})
    both = "split,index,label\ntraining,0,a\ntraining,1,b\ntest,0,c\n"
    got, _ = label_column(write(tmp_path / "s.csv", both), {"train": 2, "test": 1})
    assert got["train"].tolist() == ["a", "b"]
    assert got["test"].tolist() == ["c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("name,label\na,b\n", ["name, label", "path and index"]),
        ("path,index,label\na,0,b\n", ["exactly one"]),
        ("path,label\na.jpg\n", ["1 lines", "2 cells", "(2)"]),
        ("path,label\na.jpg,x\na.jpg,y\n", ["twice", "a.jpg"]),
        ("index,label\n-1,x\n", ["whole numbers", "'-1'"]),
        ("path,class\na.jpg,x\n", ["no column label", "class"]),
        (
            "path,label\n" + "".join(f"{i}.jpg,z\n" for i in range(7)),
            [
                "none of its 7 lines (0.jpg, 1.jpg, 2.jpg, ...)",
                "one of the 2 images (a.jpg, b.jpg)",
            ],
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    file = write(tmp_path / "labels.csv", text)
    with pytest.raises(UserError) as error:
        label_column(file, {"train": ["a.jpg", "b.jpg"]})
    assert "labels.csv" in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_files_that_are_no_csv(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        read_sidecar(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(UserError, match="UTF-8"):
        read_sidecar(tmp_path / "x.csv")
    with pytest.raises(UserError, match="keyed by path"):
        label_column(write(tmp_path / "p.csv", "path,label\na,b\n"), {"train": 3})


@given(st.lists(st.integers(0, 5) | st.sampled_from([40, 700]), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_numbers_become_0_to_k_and_can_be_turned_back(values: list[int]) -> None:
    labels = np.array(values)
    coded, names, notes = encode({"train": labels[:-1], "test": labels[-1:]})
    if len(set(values)) == 1:
        assert coded == {}
        assert "unlabelled" in notes[0]
        return
    joined = np.concatenate([coded["train"], coded["test"]])
    assert sorted(set(joined.tolist())) == list(range(len(set(values))))
    assert (names is None) == (set(values) == set(range(len(set(values)))))
    back = joined if names is None else np.array([int(names[i]) for i in joined])
    np.testing.assert_array_equal(back, labels)


def test_text_is_sorted_by_number_where_it_is_numbers() -> None:
    coded, names, _ = encode({"train": np.array(["10", "9", "9"]), "test": np.array(["2"])})
    assert names == ["2", "9", "10"]
    assert coded["train"].tolist() == [2, 1, 1]
    assert encode({"train": np.array(["b", "a", "B"])})[1] == ["B", "a", "b"]


def test_class_names_keep_their_numbers() -> None:
    coded, names, _ = encode({"train": np.array([0, 2])}, ["a", "b", "c"])
    assert coded["train"].tolist() == [0, 2]
    assert names == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"up to 2, but there are 2 class_names"):
        encode({"train": np.array([0, 2])}, ["a", "b"])


@pytest.mark.parametrize(
    "values", [[0, 1, 2], [0.0, 1.0, 2.0], [False, True, True], [[0], [1], [2]]]
)
@pytest.mark.parametrize("dtype", [None, np.uint8, np.int32])
def test_labels_of_many_types(values: list[object], dtype: type | None) -> None:
    got = checked_labels(np.array(values, dtype=dtype), 3, "x")
    assert got.dtype == np.int64
    assert got.tolist() == [int(np.squeeze(value)) for value in values]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([0, 1]), "2 labels for 3 images"),
        (np.array([0.0, np.nan, 1.0]), "nan at position 1"),
        (np.array([0.0, 0.5, 1.0]), "0.5 at position 1"),
        (np.array([0, -1, -1]), "2 labels are negative: -1 at position 1, 2"),
        (np.zeros((3, 4)), r"shape \(3, 4\)"),
        (np.array([1j, 0, 0]), "complex128"),
    ],
)
def test_bad_labels_are_named(values: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=f"file.npz: labels.*{words}"):
        checked_labels(values, 3, "file.npz: labels")


def test_attributes() -> None:
    assert checked_attributes(np.array([1, -1]), 2, "x").tolist() == [[1], [-1]]
    for values, words in (
        (np.zeros((3, 2), int), "shape"),
        (np.zeros((2, 2)), "float64"),
        (np.full((2, 2), -7), "-7"),
    ):
        with pytest.raises(UserError, match=words):
            checked_attributes(values, 2, "x")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_parted_by_what_parts_the_first_line(tmp_path: Path, separator: str) -> None:
    rows = [["path", "label", "tags"], ["a.jpg", "x", '"red;wool"'], ["b.jpg", "y, z", "blue"]]
    rows[2][1] = '"y, z"'
    file = write(tmp_path / "l.csv", "\n".join(separator.join(row) for row in rows))
    sidecar = read_sidecar(file)
    assert (sidecar.columns["label"], sidecar.columns["tags"]) == (
        ["x", "y, z"],
        ["red;wool", "blue"],
    )


@pytest.mark.parametrize("empty", ["a.jpg,\n", "a.jpg,nan\n", ""])
def test_an_image_without_a_label_is_none_of_any_class(tmp_path: Path, empty: str) -> None:
    others = "".join(f"{i}.jpg,z\n" for i in range(7))
    file = write(tmp_path / "l.csv", f"path,label\n{empty}b.jpg,x\nc.jpg,y\n{others}")
    images = {"train": ["a.jpg", "b.jpg", "c.jpg"]}
    text, notes = label_column(file, images)
    assert text["train"].tolist() == ["", "x", "y"]
    lines = 9 + bool(empty)
    assert notes == [f"{file}: 7 of {lines} lines name no image (0.jpg, 1.jpg, 2.jpg, ...)"]
    with pytest.raises(UserError, match=r"7 of .* name no image"):
        label_column(file, images, strict=True)
    assert encode(text)[0]["train"].tolist() == [-1, 0, 1]


def test_the_column_of_labels_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("path,kind,size\na.png,cat,3\nb.png,dog,4\n")
    found, _ = label_column(file, {"train": ["b.png", "a.png"]}, name="kind")
    assert found["train"].tolist() == ["dog", "cat"]
    with pytest.raises(UserError, match=r"no column king.*Try: data\.label_column=kind"):
        label_column(file, {"train": ["a.png"]}, name="king")


def test_a_wide_table_is_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    file.write_text(",".join(["path", *["a"] * 500, *["b"] * 500]) + "\n")
    with pytest.raises(UserError, match=r"several columns called a, b\. Try"):
        read_sidecar(file)
    file.write_text(",".join(f"column{i}" for i in range(1000)) + "\n")
    with pytest.raises(UserError) as caught:
        read_sidecar(file)
    assert len(str(caught.value)) < 300 + len(str(file))
