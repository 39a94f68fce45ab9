"""Files of positives that would take memory without end are refused before they are read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.positives import cluster_file
from viewfinder.positives.class_tree import LEVELS
from viewfinder.positives.class_tree_file import read_tree


def test_clusters_of_far_more_rows_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Split("train", ArrayData(torch.zeros(4, 1, 2, 2, dtype=torch.uint8)))
    rows = 4 * cluster_file.MOST_ROWS_AN_IMAGE + 1
    table = pa.table({"index": np.arange(rows), "cluster": np.zeros(rows, np.int64)})
    pq.write_table(table, tmp_path / "z.parquet")

    def unread(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(pq, "read_table", unread)
    with pytest.raises(UserError, match=r"z\.parquet has 401 rows for the 4 images"):
        cluster_file.read_clusters(tmp_path / "z.parquet", split)


def chain(levels: int, form: str, folder: Path) -> Path:
    """A file whose one class, c, lies at that level."""
    above = [f"n{i}" for i in range(levels - 1)]
    names = [*above, "c"]
    if form == "npz":
        file = folder / "tree.npz"
        parents = np.arange(levels - 1) - 1
        np.savez(
            file,
            class_names=["c"],
            class_wnids=[above[-1]],
            node_wnids=above,
            node_parent=parents,
        )
        return file
    edges = list(pairwise(names))
    lines = {
        "paths": ["class,path", f"c,{'/'.join(above)}"],
        "edges": ["parent,child", *(f"{a},{b}" for a, b in edges)],
        "words": [f"{a} {b}" for a, b in edges],
    }[form]
    file = folder / "tree.csv"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("form", ["paths", "edges", "words", "npz"])
def test_a_hierarchy_without_end_is_refused_by_name(form: str, tmp_path: Path) -> None:
    assert read_tree(chain(20, form, tmp_path), ["c"]).depth >= 19
    with pytest.raises(UserError, match=rf"tree\..* levels deep; at most {LEVELS}"):
        read_tree(chain(20_000, form, tmp_path), ["c"])
