"""Tables beside the images: a CSV keyed by path or by position, aligned with the images.

    path,label               index,label               split,index,label
    cats/a.jpg,cat           0,cat                     train,0,cat
    dogs/b.jpg,dog           1,dog                     test,0,dog

``path`` is relative to the source's folder; ``index`` counts from 0 in the source's order (for
folders: paths sorted). ``split`` is needed with ``index`` where the source has several splits.
Any number of further columns may follow; whoever asks takes the ones it knows.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of
from viewfinder.data.splits import canonical_split

_KEYS = ("path", "index")


@dataclass(frozen=True)
class Sidecar:
    """A table as text: ``row_of`` maps a key to its row, ``columns[name][row]`` is a cell.

    A key is a path, a position, or (split, position).
    """

    file: Path
    key: str
    has_split: bool
    row_of: Mapping[Hashable, int]
    columns: Mapping[str, Sequence[str]]


def first_five(values: Iterable[object]) -> str:
    """The first five of some values for a message, with dots where there are more."""
    values = list(values)
    return ", ".join(str(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")


def _read_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as CSV in UTF-8: {error}") from None
    if not rows:
        raise UserError(f"{file} is empty; a header and one line per image are expected")
    header = [name.strip() for name in rows[0]]
    uneven = [i + 2 for i, row in enumerate(rows[1:]) if len(row) != len(header)]
    if uneven:
        raise UserError(
            f"{file}: {len(uneven)} lines do not have the {len(header)} cells of the header "
            f"({first_five(uneven)})",
            fix="separate cells by commas and quote cells that contain one",
        )
    return header, [[cell.strip() for cell in row] for row in rows[1:]]


def _normal_path(text: str) -> str:
    return str(PurePosixPath(text.replace("\\", "/")))


def _keys(file: Path, key: str, cells: Mapping[str, list[str]]) -> list[Hashable]:
    if key == "path":
        return [_normal_path(text) for text in cells["path"]]
    bad = [text[:20] for text in cells["index"] if not text.isdecimal() or len(text) > 18]
    if bad:
        raise UserError(
            f"{file}: column index must hold whole numbers from 0; "
            f"{len(bad)} do not ({first_five(map(repr, bad))})"
        )
    index = [int(text) for text in cells["index"]]
    if "split" not in cells:
        return list(index)
    return [
        (canonical_split(split) or split, i) for split, i in zip(cells["split"], index, strict=True)
    ]


def read_sidecar(file: Path | str) -> Sidecar:
    """Read a sidecar; UserError for a missing file, key column, uneven lines or double keys."""
    file = file_of(file)
    header, rows = _read_rows(file)
    found = [name for name in _KEYS if name in header]
    if len(found) != 1 or len(set(header)) != len(header):
        raise UserError(
            f"{file} has the columns {', '.join(header)}; exactly one of path and index is "
            "expected, and no name twice",
            fix="a first line such as: path,label",
        )
    cells = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    keys = _keys(file, found[0], cells)
    row_of = {key: row for row, key in enumerate(keys)}
    if len(row_of) < len(keys):
        double = [key for key, times in Counter(keys).items() if times > 1]
        raise UserError(f"{file} names {len(double)} images twice ({first_five(double)})")
    columns = {name: values for name, values in cells.items() if name not in (*_KEYS, "split")}
    has_split = found[0] == "index" and "split" in header
    return Sidecar(file, found[0], has_split, row_of, columns)


def align(sidecar: Sidecar, images: Mapping[str, Sequence[str] | int]) -> dict[str, np.ndarray]:
    """For every split the sidecar's row of each image, int64 (N,).

    ``images`` holds each split's paths, or its number of images where they have no path. Raises
    UserError unless sidecar and images match one to one, naming which do not and how many.
    """
    keys: dict[str, list[Hashable]] = {}
    for split, known in images.items():
        if sidecar.key == "path":
            if isinstance(known, int):
                raise UserError(
                    f"{sidecar.file} is keyed by path, but these images are not files",
                    fix="a first line such as: index,label",
                )
            keys[split] = [_normal_path(path) for path in known]
        else:
            count = known if isinstance(known, int) else len(known)
            keys[split] = [(split, i) if sidecar.has_split else i for i in range(count)]
    if sidecar.key == "index" and not sidecar.has_split and len(images) > 1:
        raise UserError(
            f"{sidecar.file} is keyed by index, but the source has the splits {', '.join(images)}",
            fix="add a column split: split,index,label",
        )
    _check_match(sidecar, [key for split_keys in keys.values() for key in split_keys])
    return {
        split: np.array([sidecar.row_of[key] for key in split_keys], dtype=np.int64)
        for split, split_keys in keys.items()
    }


def _check_match(sidecar: Sidecar, keys: Sequence[Hashable]) -> None:
    without_row = [key for key in keys if key not in sidecar.row_of]
    known = set(keys)
    without_image = [key for key in sidecar.row_of if key not in known]
    problems = []
    if without_row:
        problems.append(
            f"{len(without_row)} of {len(keys)} images have no line ({first_five(without_row)})"
        )
    if without_image:
        problems.append(
            f"{len(without_image)} of {len(sidecar.row_of)} lines have no image "
            f"({first_five(without_image)})"
        )
    if problems:
        raise UserError(
            f"{sidecar.file} does not match the images: {'; '.join(problems)}",
            fix="one line for each image"
            + (", with paths relative to the source's folder" if sidecar.key == "path" else ""),
        )


def label_column(
    file: Path | str, images: Mapping[str, Sequence[str] | int]
) -> dict[str, np.ndarray]:
    """The column ``label`` of a sidecar for every split, as text (N,); no cell may be empty."""
    sidecar = read_sidecar(file)
    if "label" not in sidecar.columns:
        raise UserError(
            f"{sidecar.file} has no column label (it has {', '.join(sidecar.columns) or 'no other'}"
            " columns)",
            fix=f"a first line such as: {sidecar.key},label",
        )
    rows = align(sidecar, images)
    column = np.asarray(sidecar.columns["label"], dtype=np.str_)
    missing = [key for key, row in sidecar.row_of.items() if column[row].lower() in ("", "nan")]
    if missing:
        raise UserError(
            f"{sidecar.file}: {len(missing)} labels are missing ({first_five(missing)})",
            fix="give each image a label, or leave the labels file out",
        )
    return {split: column[split_rows] for split, split_rows in rows.items()}
