from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.cluster_file import read_about, read_clusters, write_clusters


def split(n: int, paths: list[str] | None = None) -> Split:
    return Split("train", ArrayData(torch.zeros(n, 1, 2, 2, dtype=torch.uint8)), paths=paths)


def test_round_trip_with_what_it_is_about(tmp_path: Path) -> None:
    file = tmp_path / "z.parquet"
    clusters = Assignment(np.array([2, 0, 1, 0]))
    write_clusters(file, clusters, {"source": "shapes", "top_k": 4})
    np.testing.assert_array_equal(read_clusters(file, split(4)).z, clusters.z)
    assert read_about(file) == {
        "source": "shapes",
        "top_k": 4,
        "version": 1,
        "n": 4,
        "clusters": 3,
    }
    table = pq.read_table(file)
    assert table.column_names == ["index", "cluster"]
    assert table.schema.types == [pa.int64(), pa.int64()]


def test_images_that_are_left_out_stay_out(tmp_path: Path) -> None:
    file = tmp_path / "z.parquet"
    keep = np.array([True, False, True])
    write_clusters(file, Assignment(np.array([0, 1, 1]), keep=keep))
    found = read_clusters(file, split(3))
    np.testing.assert_array_equal(found.keep, keep)
    assert found.z[keep].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["int", "text", "large"])
def test_a_users_own_parquet(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "mine.parquet"
    values = {"int": [2**40, -1, 2**40], "text": ["b", "a", "b"], "large": [7, 3, 7]}[kind]
    pq.write_table(pa.table({"cluster": values, "index": [0, 2, 1], "more": [1, 2, 3]}), file)
    assert read_clusters(file, split(3)).z.tolist() == [1, 1, 0]


def test_by_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"path": ["a/x.jpg", "y.jpg", "z.jpg"], "cluster": [5, 3, 9]}), file)
    assert read_clusters(file, split(2, ["y.jpg", "a/x.jpg"])).z.tolist() == [0, 1]
    with pytest.raises(UserError, match=r"1 of 2 have no row \(w.jpg\)"):
        read_clusters(file, split(2, ["y.jpg", "w.jpg"]))
    with pytest.raises(UserError, match="not files"):
        read_clusters(file, split(2))


def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "z.csv"
    file.write_text("index,cluster\n0,10\n1,9\n2,10\n")
    assert read_clusters(file, split(3)).z.tolist() == [1, 0, 1]
    made = read_clusters(file, split(5))
    assert made.z.tolist() == [1, 0, 1, 2, 3]  # each other is its own
    assert "2 of 5 images have no line (3, 4)" in made.notes[0]
    with pytest.raises(UserError, match="1 of 4 images have no line"):
        read_clusters(file, replace(split(4), strict=True))
    file.write_text("index,cluster\n0,10\n1,\n2,10\n")
    with pytest.raises(UserError, match=r"1 images have no cluster \(rows 1\)"):
        read_clusters(file, split(3))
    file.write_text("index,group\n0,1\n")
    with pytest.raises(UserError, match="columns index, group; cluster is expected"):
        read_clusters(file, split(1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"index": [0, 1], "cluster": [0, 1]}, "3 images.*1 absent"),
        ({"index": [0, 1, 1], "cluster": [0, 1, 1]}, r"1 twice \(1\)"),
        ({"index": [0, 1, 5], "cluster": [0, 1, 1]}, r"1 indices out of range \(5\)"),
        ({"index": [0, 1, 2], "z": [0, 1, 1]}, "cluster is expected"),
        ({"index": [0, 1, 2], "cluster": [0.5, 1, 1]}, "double"),
        ({"index": [0, 1, 2], "cluster": [0, None, 1]}, "1 empty"),
    ],
)
def test_refused(tmp_path: Path, table: dict[str, list[object]], message: str) -> None:
    file = tmp_path / "z.parquet"
    pq.write_table(pa.table(table), file)
    with pytest.raises(UserError, match=message):
        read_clusters(file, split(3))


def test_z_of_another_source(tmp_path: Path) -> None:
    file = tmp_path / "z.parquet"
    write_clusters(file, Assignment(np.array([0, 1, 0, 1])))
    with pytest.raises(UserError, match="it is for 4 images"):
        read_clusters(file, split(5))
    with pytest.raises(UserError, match="it is for 4 images"):
        read_clusters(file, split(3))


def test_no_file_and_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        read_clusters(tmp_path / "z.parquet", split(3))
    (tmp_path / "z.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match="cannot be read"):
        read_clusters(tmp_path / "z.parquet", split(3))
    (tmp_path / "plain").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written"):
        write_clusters(tmp_path / "plain" / "z.parquet", Assignment(np.array([0])))


def test_z_of_files_goes_by_their_names(tmp_path: Path) -> None:
    """What is held out may differ between two openings of a folder; names may not."""
    file = tmp_path / "z.parquet"
    names = ["a.jpg", "b.jpg", "c.jpg"]
    write_clusters(file, Assignment(np.array([0, 1, 2])), split=split(3, names))
    assert pq.read_table(file).column_names == ["index", "cluster", "path"]
    assert read_clusters(file, split(3, ["c.jpg", "a.jpg", "b.jpg"])).z.tolist() == [2, 0, 1]
    with pytest.raises(UserError, match=r"1 of 3 have no row \(d.jpg\)"):
        read_clusters(file, split(3, ["a.jpg", "b.jpg", "d.jpg"]))
    keep = np.array([True, False, True])
    write_clusters(file, Assignment(np.array([0, 1, 1]), keep=keep), split=split(3, names))
    found = read_clusters(file, split(3, ["c.jpg", "a.jpg", "b.jpg"]))
    assert found.keep is not None
    assert found.keep.tolist() == [True, True, False]
    assert found.z.tolist()[:2] == [1, 0]


@pytest.mark.parametrize("what", ["rows", "labels"])
def test_z_of_other_images_is_refused_though_their_number_is_the_same(
    tmp_path: Path, what: str
) -> None:
    file = tmp_path / "z.parquet"

    def other(values: list[int]) -> Split:
        array = np.array(values)
        if what == "labels":
            return replace(split(3), labels=array)
        return replace(split(3), factors={"source_row": array})

    write_clusters(file, Assignment(np.array([0, 1, 1])), split=other([0, 1, 2]))
    assert read_clusters(file, other([0, 1, 2])).z.tolist() == [0, 1, 1]
    assert read_clusters(file, split(3)).z.tolist() == [0, 1, 1]  # nothing known against it
    with pytest.raises(UserError, match=f"the {what} differ"):
        read_clusters(file, other([0, 2, 1]))
