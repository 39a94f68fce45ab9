"""Tables beside the images: a CSV keyed by path or by position, aligned with the images.

    path,label               index,label               split,index,label
    cats/a.jpg,cat           0,cat                     train,0,cat
    dogs/b.jpg,dog           1,dog                     test,0,dog

Cells are parted by commas, or by semicolons or tabs where the first line is.
``path`` is relative to the source's folder; ``index`` counts from 0 in the source's order (for
folders: paths sorted). ``split`` is needed with ``index`` where the source has several splits.
Any number of further columns may follow; whoever asks takes the ones it knows.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from viewfinder.core.errors import UserError, nearest
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
            separator = _separator(stream)
            stream.seek(0)
            rows = [row for row in csv.reader(stream, delimiter=separator) if row]
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
    path = header.index("path") if "path" in header else None  # a name is taken as it is
    return header, [[c if i == path else c.strip() for i, c in enumerate(r)] for r in rows[1:]]


def _separator(lines: Iterable[str]) -> str:
    """What parts the cells of a table: what makes a key one of the names in its first line."""
    first = next((line for line in lines if line.strip()), "")
    for separator in ",\t;":
        names = next(csv.reader([first], delimiter=separator), [])
        if any(name.strip() in _KEYS for name in names):
            return separator
    return ","


def meant(path: str, known: Collection[Hashable]) -> str:
    """The image that a list names: the one that is called so, for a name may hold a backslash;
    where there is none, the one of the same path with slashes, as Windows would not write it."""
    return path if path in known else path.replace("\\", "/").removeprefix("./")


def _normal_path(text: str) -> str:
    return str(PurePosixPath(text))


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
    if len(found) != 1:
        raise UserError(
            f"{file} has the columns {first_five(header)}; exactly one of path and index is "
            "expected",
            fix="a first line such as: path,label",
        )
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise UserError(f"{file} has several columns called {first_five(twice)}", fix="one of each")
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
    """For every split the sidecar's row of each image, int64 (N,), -1 where it has no line.

    ``images`` holds each split's paths, or its number of images where they have no path. Raises
    UserError where no line is of any of them.
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
    every = [key for split_keys in keys.values() for key in split_keys]
    images_known = set(every)
    row_of = {
        meant(key, images_known) if isinstance(key, str) else key: row
        for key, row in sidecar.row_of.items()
    } | {key: row for key, row in sidecar.row_of.items() if key in images_known}
    if every and not any(key in row_of for key in every):
        raise UserError(
            f"{sidecar.file} does not match the images: none of its {len(sidecar.row_of)} lines "
            f"({first_three(sidecar.row_of)}) names one of the {len(every)} images "
            f"({first_three(every)})",
            fix=_line_for_each(sidecar),
        )
    return {
        split: np.array([row_of.get(key, -1) for key in split_keys], dtype=np.int64)
        for split, split_keys in keys.items()
    }


def first_three(values: Iterable[object]) -> str:
    """As ``first_five``, of three."""
    values = list(values)
    return ", ".join(str(value) for value in values[:3]) + (", ..." if len(values) > 3 else "")


def _line_for_each(sidecar: Sidecar) -> str:
    paths = ", with paths relative to the source's folder" if sidecar.key == "path" else ""
    return f"one line for each image{paths}"


def unknown_lines(sidecar: Sidecar, count: int, rows: np.ndarray) -> list[str]:
    """A note on the lines that name none of the images: ``rows`` are those that some image has."""
    lost = np.setdiff1d(np.arange(count), rows)
    if not len(lost):
        return []
    named = {row: key for key, row in sidecar.row_of.items()}
    return [
        f"{sidecar.file}: {len(lost)} of {count} lines name no image "
        f"({first_three(named[int(row)] for row in lost)})"
    ]


def missing_lines(
    sidecar: Sidecar, what: str, missing: Sequence[object], of: int, strict: bool, then: str
) -> list[str]:
    """A note on the images that a table says nothing of; a UserError where that is ``strict``.

    what  they lack ("line"), then: what becomes of them
    """
    if not missing:
        return []
    told = f"{sidecar.file}: {len(missing)} of {of} images have no {what} ({first_three(missing)})"
    if strict:
        raise UserError(told, fix=f"{_line_for_each(sidecar)}; or data.strict=false")
    return [f"{told}: {then}"]


def label_column(
    file: Path | str,
    images: Mapping[str, Sequence[str] | int],
    strict: bool = False,
    name: str = "label",
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The column ``name`` of a sidecar for every split, as text (N,), "" for an image without a
    label; and notes on lines that name no image, which are refused where that is ``strict``."""
    sidecar = read_sidecar(file)
    if name not in sidecar.columns:
        meant = nearest(name, sidecar.columns) or next(iter(sidecar.columns), None)
        raise UserError(
            f"{sidecar.file} has no column {name}; beside {sidecar.key} it has "
            f"{first_five(sidecar.columns) or 'none'}",
            fix=f"data.label_column={meant}" if meant else f"a first line: {sidecar.key},label",
        )
    rows = align(sidecar, images)
    cells = ["" if text.lower() == "nan" else text for text in sidecar.columns[name]]
    column = np.asarray([*cells, ""], dtype=np.str_)  # the last is that of row -1
    notes = unknown_lines(sidecar, len(cells), np.concatenate([*rows.values()]))
    if strict and notes:
        raise UserError(notes[0], fix="lines of these images alone; or data.strict=false")
    return {split: column[split_rows] for split, split_rows in rows.items()}, notes


def unlabelled(
    file: Path | str, splits: Iterable[tuple[np.ndarray | None, Sequence[object]]], strict: bool
) -> list[str]:
    """A note on the images that were read and have no label: labels int64 (N,) of each split, -1
    where there is none, and the names of its images. A UserError where that is ``strict``."""
    known = [(labels, names) for labels, names in splits if labels is not None]
    lost = [names[i] for labels, names in known for i in np.flatnonzero(labels < 0).tolist()]
    count = sum(len(labels) for labels, _ in known)
    then = "they are not scored, and each is its own where labels say what is the same"
    return missing_lines(read_sidecar(file), "label", lost, count, strict, then)
