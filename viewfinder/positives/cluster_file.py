"""Z in a file: Parquet with the columns index and cluster, or a user's own table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, reading, write_atomically
from viewfinder.data.sidecars.read import first_five, read_sidecar
from viewfinder.data.source import Split
from viewfinder.positives.assignment import Assignment, dense, each_other_its_own
from viewfinder.positives.attribute_file import rows_of

MARK = b"viewfinder.clusters"
MOST_ROWS_AN_IMAGE = 100
"""Above these rows an image no file is opened; less is read, to say which rows do not match."""


def write_clusters(
    path: Path | str,
    assignment: Assignment,
    about: Mapping[str, Any] | None = None,
    split: Split | None = None,
) -> None:
    """Write Z of one clustering as Parquet: ``index`` and ``cluster`` int64, one row per datum.

    Data of ``keep`` False are left out. With the split a column ``path`` is written too, where its
    images are files, and digests of what else tells its images from others; ``read_clusters`` goes
    by these, so that Z cannot be laid over other images of the same number. ``about`` (plain
    values: the source, the constructor and its settings) is stored with n, the number of data, as
    JSON in the file's metadata under "viewfinder.clusters".
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    z, rows = assignment.clusters, assignment.rows
    index = np.arange(len(z)) if rows is None else rows
    meta = {**(about or {}), "version": 1, "n": len(z), "clusters": assignment.count}
    columns: dict[str, Any] = {"index": index, "cluster": z[index]}
    if split is not None:
        meta["digests"] = _digests(split)
        if split.paths is not None:
            columns["path"] = [split.paths[int(i)] for i in index]
    table = pa.table(columns)
    table = table.replace_schema_metadata({MARK: json.dumps(meta).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomically(Path(path), sink.getvalue().to_pybytes())


def read_about(path: Path | str) -> dict[str, Any]:
    """What ``write_clusters`` stored beside Z; empty for other Parquet files."""
    import pyarrow.parquet as pq

    metadata = pq.read_schema(Path(path)).metadata or {}
    return dict(json.loads(metadata.get(MARK, b"{}")))


def read_clusters(path: Path | str, split: Split) -> Assignment:
    """Z of a split from a Parquet file or a CSV: ``index`` or ``path``, and ``cluster``.

    Clusters may be any integers or text; they are numbered densely in their order. A file written
    by ``write_clusters`` may leave images out: these are marked in ``keep``.

    Raises UserError for a file that cannot be read, columns that are missing or of another type,
    and rows that do not match the images (which, how many, the first five).
    """
    path = file_of(path)
    if path.suffix.lower() in (".csv", ".txt"):
        sidecar = read_sidecar(path)
        if "cluster" not in sidecar.columns:
            raise _no_column(path, "cluster", [sidecar.key, *sidecar.columns])
        rows, notes = rows_of(sidecar, split)
        known = rows >= 0
        cells = np.asarray(sidecar.columns["cluster"])[rows[known]]
        empty = np.flatnonzero(known)[[not str(cell).strip() for cell in cells]]
        if len(empty):
            raise UserError(
                f"{path}: {len(empty)} images have no cluster (rows {first_five(empty)})",
                fix="a cluster in each line; one of its own where an image is like no other",
            )
        made = Assignment(dense(_numbers(cells)), notes=tuple(notes))
        return each_other_its_own(made, known)
    with reading(path):
        _check_rows(path, split)
        key, keys, values = _parquet(path, by_path=split.paths is not None)
        about = read_about(path)
        if key == "path":
            return _by_path(path, keys, values, split, about.get("n", len(keys)) - len(keys))
        _check_digests(path, about.get("digests", {}), split)
        return _by_index(path, keys, values, split)


def _check_rows(path: Path, split: Split) -> None:
    """Refuse a file by the rows that its metadata announce, before any is read: a small file may
    unpack to billions."""
    import pyarrow.parquet as pq

    rows = pq.read_metadata(path).num_rows
    most = MOST_ROWS_AN_IMAGE * len(split)
    if rows > most:
        raise UserError(
            f"{path} has {rows:,} rows for the {len(split):,} images of {split.name}; at most "
            f"{most:,} are read",
            fix="a file with one row for each image",
        )


def _digests(split: Split) -> dict[str, str]:
    """What tells the images of a split from others of the same number: which rows of the source
    they are, where some were held out, and their labels."""
    known = {"rows": split.factors.get("source_row"), "labels": split.labels}
    return {
        name: hashlib.sha256(np.ascontiguousarray(x, np.int64).tobytes()).hexdigest()
        for name, x in known.items()
        if x is not None
    }


def _check_digests(path: Path, written: Mapping[str, str], split: Split) -> None:
    here = _digests(split)
    for name in written.keys() & here.keys():
        if written[name] != here[name]:
            raise UserError(
                f"{path} was made for other images than these {len(split)} of {split.name}: the "
                f"{name} differ (another seed, limit or split)",
                fix="viewfinder clusters with the same data.* keys, or a file keyed by path",
            )


def _parquet(path: Path, *, by_path: bool) -> tuple[str, np.ndarray, np.ndarray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet: {error}") from None
    order = ("path", "index") if by_path else ("index", "path")
    found = [name for name in order if name in table.column_names]
    if "cluster" not in table.column_names or not found:
        raise _no_column(path, "index (or path) and cluster", table.column_names)
    for name, column in ((n, table[n]) for n in (found[0], "cluster")):
        whole = pa.types.is_integer(column.type)
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if column.null_count or not (whole or (text and name != "index")):
            raise UserError(
                f"{path}: column {name} is {column.type} with {column.null_count} empty values; "
                f"{'integers' if name == 'index' else 'integers or text'}, none empty, are expected"
            )
    return found[0], table[found[0]].to_numpy(), np.asarray(table["cluster"].to_pylist())


def _by_index(path: Path, index: np.ndarray, values: np.ndarray, split: Split) -> Assignment:
    n = len(split)
    about = read_about(path)
    written = about.get("n", n)
    outside = index[(index < 0) | (index >= n)]
    order, times = np.unique(index, return_counts=True)
    absent = np.setdiff1d(np.arange(n), order)
    if len(outside) or (times > 1).any() or written != n or (len(absent) and "n" not in about):
        raise UserError(
            f"{path} does not match the {n} images of {split.name}: it is for {written} images, "
            f"{len(index)} rows; {len(outside)} indices out of range ({first_five(outside)}), "
            f"{int((times > 1).sum())} twice ({first_five(order[times > 1])}), {len(absent)} "
            f"absent ({first_five(absent)})",
            fix="one row for each image, index 0 to N-1, made from this very source and limit",
        )
    codes = dense(values)
    z = np.empty(n, np.int64)
    z[index] = codes
    if len(absent) == 0:
        return Assignment(z)
    z[absent] = codes.max() + 1
    keep = np.ones(n, bool)
    keep[absent] = False
    return Assignment(z, keep=keep, notes=(f"{path} leaves out {counted(len(absent), 'image')}",))


def _by_path(
    path: Path, keys: np.ndarray, values: np.ndarray, split: Split, left_out: int
) -> Assignment:
    """Z by the names of files; ``left_out`` of the images it was made of have no row."""
    own = {str(PurePosixPath(str(key))) for key in keys}
    names = split.paths or ()
    absent = np.array([str(PurePosixPath(name)) not in own for name in names], bool)
    if not left_out or absent.sum() != left_out:
        return Assignment(dense(values[_path_rows(path, keys, split)]))
    kept = [name for name, lost in zip(names, absent, strict=True) if not lost]
    codes = dense(values[_path_rows(path, keys, replace(split, paths=kept))])
    z = np.full(len(split), codes.max() + 1)
    z[~absent] = codes
    return Assignment(z, keep=~absent, notes=(f"{path} leaves out {counted(left_out, 'image')}",))


def _path_rows(path: Path, keys: np.ndarray, split: Split) -> np.ndarray:
    if split.paths is None:
        raise UserError(f"{path} is keyed by path, but these images are not files")
    row = {str(PurePosixPath(str(key))): i for i, key in enumerate(keys)}
    lost = [name for name in split.paths if str(PurePosixPath(name)) not in row]
    if lost or len(row) < len(keys):
        raise UserError(
            f"{path} does not match the images of {split.name}: {len(lost)} of {len(split)} have "
            f"no row ({first_five(lost)}), {len(keys) - len(row)} rows are double",
            fix="one row for each image, with paths relative to the source's folder",
        )
    return np.array([row[str(PurePosixPath(name))] for name in split.paths], np.int64)


def _numbers(text: np.ndarray) -> np.ndarray:
    """Cluster names of a CSV as integers where all are, so that 10 follows 9."""
    try:
        return text.astype(np.int64)
    except ValueError:
        return text


def _no_column(path: Path, wanted: str, found: Sequence[str]) -> UserError:
    return UserError(
        f"{path} has the columns {', '.join(found)}; {wanted} is expected", fix="index,cluster"
    )
