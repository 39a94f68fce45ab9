"""Sidecar files joined to a split: ``attributes.csv`` and whatever else is keyed by image."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import reading
from viewfinder.data.sidecars.read import Sidecar, first_five, read_sidecar
from viewfinder.data.source import Attributes, Split
from viewfinder.positives.columns import ColumnOptions, Columns, parse_columns


def rows_of(sidecar: Sidecar, split: Split) -> np.ndarray:
    """The sidecar's row of each image of the split, int64 (N,).

    Lines of other images are passed over: they may belong to another split or to the part that a
    limit left out. Raises UserError where an image has no line, with the lines that name no image.
    """
    keys = _keys(sidecar, split)
    without_line = [key for key in keys if key not in sidecar.row_of]
    if without_line:
        known = set(keys)
        strange = [key for key in sidecar.row_of if key not in known]
        other = (
            f"; {len(strange)} of {len(sidecar.row_of)} lines name none of them "
            f"({first_five(strange)})"
        )
        raise UserError(
            f"{sidecar.file} does not match the images of {split.name}: {len(without_line)} of "
            f"{len(keys)} images have no line ({first_five(without_line)})"
            f"{other if strange else ''}",
            fix="one line for each image"
            + (", with paths relative to the source's folder" if sidecar.key == "path" else ""),
        )
    return np.array([sidecar.row_of[key] for key in keys], np.int64)


def read_attributes(
    file: Path | str, split: Split, options: ColumnOptions | None = None
) -> Columns:
    """The attributes of a split's images from a sidecar; see ``parse_columns``.

    Categories and bins are those of the whole file, so all splits are numbered alike.
    """
    sidecar = read_sidecar(file)
    rows = rows_of(sidecar, split)
    with reading(sidecar.file):
        parsed = parse_columns(sidecar.columns, str(sidecar.file), options)
    table: Attributes = replace(parsed.attributes, values=parsed.attributes.values[rows])
    return replace(parsed, attributes=table)


def attributes_of(split: Split, file: str | None, options: ColumnOptions | None = None) -> Columns:
    """The attributes of a split's images: from a file, else the source's own."""
    if file is not None:
        return read_attributes(file, split, options)
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
