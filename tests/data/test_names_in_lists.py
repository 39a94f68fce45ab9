"""Names of files as they may be on POSIX, written to lists and read back: each means itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from viewfinder.cleaning.findings import list_of
from viewfinder.data.sidecars.image_list import read_image_list
from viewfinder.data.sidecars.read import align, read_sidecar
from viewfinder.runs.embeddings import Embeddings

NAMES = ["x/y.png", "x\\y.png", "a\rb.png", "a\nb.png", "a\r\nb.png", "\n1.png", " 1.png", "1.png"]
NAMES += ['"q".png', "a,b.png", "a;b.png", "\x0c.png", "\u2028.png", "=1+1", "path"]


@pytest.mark.skipif(os.sep != "/", reason="names are others there")
@pytest.mark.parametrize("name", NAMES)
def test_a_list_names_the_image_that_it_was_made_of_and_no_other(name: str, tmp_path: Path) -> None:
    vectors = np.zeros((len(NAMES), 1), np.float32)
    known = Embeddings(vectors, ["train"] * len(NAMES), np.arange(len(NAMES)), NAMES)
    file = tmp_path / "list.csv"
    file.write_bytes(list_of(known, np.array([NAMES.index(name)])).encode())
    assert read_image_list(file) == [name]
    (rows,) = align(read_sidecar(file), {"train": NAMES}).values()
    assert [NAMES[i] for i in np.flatnonzero(rows >= 0)] == [name]
