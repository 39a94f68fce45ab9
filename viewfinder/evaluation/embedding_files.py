"""Embeddings as files, by the ending of the name: Parquet, CSV, npy and npz, written as they come.

``.parquet``  the columns, the vector as a fixed-size list of float32; what they are of in the
              file's own metadata
``.csv``      the columns, then v0, v1, ...; beside it FILE.json says what they are of
``.npy``      the vectors alone, float32 (N, D); beside it FILE.csv with the columns, and FILE.json
``.npz``      an array for each column, ``vectors``, and ``about``, JSON
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from viewfinder.core.csv_text import csv_text
from viewfinder.core.errors import UserError
from viewfinder.core.files import replacing, write_atomically, writing
from viewfinder.core.outputs import check_out

Columns = Mapping[str, Sequence[Any]]
About = Mapping[str, Any]
Guard = Callable[[], AbstractContextManager[None]]
Write = Callable[[Path, Guard, Columns, Iterator[np.ndarray], About], None]
"""Writes N rows to a path: columns of N values each, and vectors in blocks float32 (n, D). What
the file system refuses is raised inside the guard, what the blocks raise outside of it."""

REPEATING = ["path", "label", "class_name", "split"]


def check_format(out: Path) -> None:
    """Raise UserError where the name does not end in a kind of file that can be written."""
    if out.suffix.lower() not in FORMATS:
        if not out.name:  # what --out "" is
            raise UserError(f"--out {out} names no file", fix="--out embeddings.parquet")
        raise UserError(
            f"{out} does not say what kind of file it is to be: {', '.join(FORMATS)} are known",
            fix=f"--out {out.with_suffix('.parquet')}",
        )


def check_files(out: Path) -> None:
    """Raise UserError where a file that ``write_rows`` would write is there and not of it."""
    marks = (b"network_input", b"unit_length")  # of what is said of embeddings
    if out.suffix.lower() == ".npz":
        marks = (b"vectors.npy", b"about.npy")
    beside = list(_beside(out, {"index": []}, {}))  # the JSON first, which has the marks
    for name in (out.name, *beside):
        check_out(out.with_name(name), marks, of=out.with_name(beside[0]) if beside else None)


def write_rows(out: Path, columns: Columns, blocks: Iterator[np.ndarray], about: About) -> None:
    """Write columns and vectors to ``out`` in the format that its name says, all or nothing.

    Memory does not grow with N: a block is written before the next is asked for. Errors of
    ``blocks`` pass as they are.

    Raises UserError where the name says no format or the place cannot be written.
    """
    check_format(out)
    with replacing(out) as temporary:
        FORMATS[out.suffix.lower()](temporary, partial(writing, out), columns, blocks, about)
    for name, text in _beside(out, columns, about).items():
        write_atomically(out.with_name(name), text)


def _write_parquet(
    path: Path, guard: Guard, columns: Columns, blocks: Iterator[np.ndarray], about: About
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"index": pa.int64(), "label": pa.int64()}
    meta = {key: v if isinstance(v, str) else json.dumps(v) for key, v in about.items()}
    writer, start = None, 0
    try:
        for block in blocks:
            rows = slice(start, start + len(block))
            arrays = {
                name: pa.array(values[rows], types.get(name, pa.string()))
                for name, values in columns.items()
            }
            flat = pa.array(np.ascontiguousarray(block).reshape(-1))
            arrays["vector"] = pa.FixedSizeListArray.from_arrays(flat, block.shape[1])
            table = pa.table(arrays)
            with guard():
                if writer is None:
                    schema = table.schema.with_metadata(meta)
                    # a dictionary of floats that never repeat makes the file larger
                    writer = pq.ParquetWriter(
                        path, schema, use_dictionary=REPEATING, compression="zstd"
                    )
                writer.write_table(table)
            start += len(block)
    finally:
        if writer is not None:
            with guard():
                writer.close()


def _write_csv(
    path: Path, guard: Guard, columns: Columns, blocks: Iterator[np.ndarray], about: About
) -> None:
    start = 0
    with guard():
        path.touch()
    for block in blocks:
        numbers = [[f"{value:.9g}" for value in row] for row in block.tolist()]
        rows = zip(
            *(values[start : start + len(block)] for values in columns.values()), strict=True
        )
        lines = [[*row, *vector] for row, vector in zip(rows, numbers, strict=True)]
        if start == 0:
            lines.insert(0, [*columns, *(f"v{i}" for i in range(block.shape[1]))])
        with guard(), path.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_text(lines))
        start += len(block)


def _write_npy(
    path: Path, guard: Guard, columns: Columns, blocks: Iterator[np.ndarray], about: About
) -> None:
    with guard():
        path.touch()
    for piece in _npy(blocks, _length(columns)):
        with guard(), path.open("ab") as file:
            file.write(piece)


def _write_npz(
    path: Path, guard: Guard, columns: Columns, blocks: Iterator[np.ndarray], about: About
) -> None:
    with guard():
        archive = zipfile.ZipFile(path, "w")
    try:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            for piece in _npy(blocks, _length(columns)):
                with guard():
                    member.write(piece)
        arrays = {name: _array(values) for name, values in columns.items()}
        for name, array in {**arrays, "about": np.array(json.dumps(about))}.items():
            buffer = io.BytesIO()
            npy.write_array(buffer, array, allow_pickle=False)
            with guard():
                archive.writestr(f"{name}.npy", buffer.getvalue())
    finally:
        with guard():
            archive.close()


FORMATS: Mapping[str, Write] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npy": _write_npy,
    ".npz": _write_npz,
}


def _beside(out: Path, columns: Columns, about: About) -> dict[str, str]:
    """The files that a format needs beside its own, by name."""
    ending = out.suffix.lower()
    found = {}
    if ending in (".csv", ".npy"):
        found[f"{out.name}.json"] = json.dumps(about, indent=2) + "\n"
    if ending == ".npy":
        found[f"{out.name}.csv"] = csv_text(
            [[*columns], *map(list, zip(*columns.values(), strict=True))]
        )
    return found


def _npy(blocks: Iterator[np.ndarray], count: int) -> Iterator[bytes]:
    """The bytes of a float32 array (count, D) in the npy format, piece by piece."""
    first = next(blocks)
    head = io.BytesIO()
    facts = {"descr": "<f4", "fortran_order": False, "shape": (count, first.shape[1])}
    npy.write_array_header_1_0(head, facts)
    yield head.getvalue()
    for block in chain([first], blocks):
        yield np.ascontiguousarray(block, "<f4").tobytes()


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _array(values: Sequence[Any]) -> np.ndarray:
    """A column as an array of numbers or of text."""
    array = np.asarray(values)
    return array if array.dtype.kind in "iu" else np.asarray(values, np.str_)
