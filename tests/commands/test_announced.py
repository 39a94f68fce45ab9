"""A file is believed only as far as it goes, and an option that names nothing is named."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from viewfinder.commands.measure import read
from viewfinder.core.errors import UserError
from viewfinder.evaluation.embedding_files import check_format
from viewfinder.papers.result import read as stored


@pytest.mark.parametrize("shape", [(4, 2), (10**6, 10**6), (2**62,), (-1, 3)])
@pytest.mark.parametrize("write", [npy.write_array_header_1_0, npy.write_array_header_2_0])
def test_an_array_that_announces_more_than_it_holds_is_refused(
    shape: tuple[int, ...], write: Any, tmp_path: Path
) -> None:
    head = io.BytesIO()
    write(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    (tmp_path / "x.npy").write_bytes(head.getvalue() + bytes(12))
    with pytest.raises(UserError, match=r"x\.npy"):
        read(tmp_path / "x.npy")


def test_whole_arrays_are_read(tmp_path: Path) -> None:
    for array in (np.arange(6.0).reshape(3, 2), np.asfortranarray(np.ones((3, 2)))):
        np.save(tmp_path / "x.npy", array)
        np.testing.assert_array_equal(read(tmp_path / "x.npy"), array)


@pytest.mark.parametrize("out", ["", "."])
def test_an_empty_place_is_refused_by_its_option(out: str) -> None:
    with pytest.raises(UserError, match="--out"):
        check_format(Path(out))


@pytest.mark.parametrize(
    "numbers",
    [
        '{"top1": 5e300}',
        '{"top1": 1.5}',
        '{"a": [{"top5": -0.1}]}',
        '{"loss": 1e300}',
        '{"loss": NaN}',
        '{"loss": -Infinity}',
        '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}",
    ],
)
def test_numbers_that_nobody_measured_are_refused(numbers: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    rest = '"protocol": {}, "figures": [], "notes": [], "experiment": {"name": "x"}'
    file.write_text(f'{{{rest}, "numbers": {numbers}}}')
    with pytest.raises(UserError, match=r"results\.json"):
        stored(tmp_path, "x")
    file.write_text(f'{{{rest}, "numbers": {json.dumps({"top1": 1.0, "loss": 7.5, "n": 0})}}}')
    assert stored(tmp_path, "x")["numbers"]["top1"] == 1
