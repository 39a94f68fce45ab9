"""Sidecar files joined to a split: ``attributes.csv`` and whatever else is keyed by image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import reading
from viewfinder.data.sidecars.read import Sidecar, first_three, missing_lines, read_sidecar
from viewfinder.data.source import Split
from viewfinder.positives.columns import ColumnOptions, Columns, parse_columns


def rows_of(sidecar: Sidecar, split: Split) -> tuple[np.ndarray, list[str]]:
    """The sidecar's row of each image of the split, int64 (N,), -1 where it has no line; and notes
    on these images, and on the lines that name no file of the source.

    Raises UserError where no image has a line, and, where the split is strict, where one has none.
    """
    keys = _keys(sidecar, split)
    rows = np.array([sidecar.row_of.get(key, -1) for key in keys], np.int64)
    without_line = [key for key, row in zip(keys, rows, strict=True) if row < 0]
    listed = split.listed if sidecar.key == "path" else ()
    strange = [key for key in sidecar.row_of if key not in listed] if listed else []
    notes = []
    if strange:
        notes.append(
            f"{sidecar.file}: {len(strange)} of {len(sidecar.row_of)} lines name no file of the "
            f"source ({first_three(strange)})"
        )
    if len(without_line) == len(keys):
        raise UserError(
            f"{sidecar.file} does not match the images of {split.name}: none of its "
            f"{len(sidecar.row_of)} lines ({first_three(sidecar.row_of)}) names one of the "
            f"{len(keys)} images ({first_three(keys)})",
            fix="one line for each image"
            + (", with paths relative to the source's folder" if sidecar.key == "path" else ""),
        )
    then = "each of them is its own"
    count = len(keys)
    return rows, [*missing_lines(sidecar, "line", without_line, count, split.strict, then), *notes]


def read_attributes(
    file: Path | str,
    split: Split,
    options: ColumnOptions | None = None,
    chosen: Sequence[str] | None = None,
) -> Columns:
    """The attributes of a split's images from a sidecar, all or the ``chosen``; see
    ``parse_columns``.

    Categories and bins are those of the whole file, so all splits are numbered alike. An image
    without a line has no value of anything.
    """
    sidecar = read_sidecar(file)
    rows, notes = rows_of(sidecar, split)
    with reading(sidecar.file):
        parsed = parse_columns(sidecar.columns, str(sidecar.file), options, chosen)
    known = rows >= 0
    values = np.where(known[:, None], parsed.attributes.values[rows], -1)
    return Columns(
        replace(parsed.attributes, values=values),
        [*parsed.notes, *notes],
        None if known.all() else known,
    )


def attributes_of(
    split: Split,
    file: str | None,
    options: ColumnOptions | None = None,
    chosen: Sequence[str] | None = None,
) -> Columns:
    """The attributes of a split's images: from a file, else the source's own."""
    if file is not None:
        return read_attributes(file, split, options, chosen)
    assert split.attributes is not None, "the row needs attributes"
    return Columns(split.attributes)


def _keys(sidecar: Sidecar, split: Split) -> list[Hashable]:
    if sidecar.key == "path":
        if split.paths is None:
            raise UserError(
                f"{sidecar.file} is keyed by path, but these images are not files",
                fix="a first line such as: index,gender",
            )
        return [str(PurePosixPath(path)) for path in split.paths]
    # a limited or held-out part remembers where its images are in the split they were taken from
    index = split.factors.get("source_row", np.arange(len(split))).tolist()
    if not sidecar.has_split:
        return list(index)
    named = {key[0] for key in sidecar.row_of if isinstance(key, tuple)}
    name = split.name if split.name in named else "train"
    return [(name, i) for i in index]
