"""Lists of images as people write them: paths or positions, one per line.

    cats/a.jpg          path                 12          split,index
    dogs/b.jpg          cats/a.jpg           40          train,12

Plain lines are paths, or positions where all are numbers. With a first line that names the columns
(``path``, ``index`` or ``split`` and ``index``) it is a table, whose other columns are passed over.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of
from viewfinder.data.sidecars.read import first_three, read_sidecar

Position = tuple[str, int]
"""A split, "" where none is named, and a position in it."""


def read_image_list(file: Path | str) -> list[str] | list[Position]:
    """What a list names: paths with slashes, or positions; in order, each once.

    Raises UserError where there is no such file, it is no text, it is empty, or a table has neither
    paths nor positions.
    """
    file = file_of(file)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is no list of images: it cannot be read as text in UTF-8: {error}",
            fix="one path a line",
        ) from None
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise UserError(f"{file} is empty; paths or positions of images are expected, one per line")
    if _is_header(lines[0]):
        return _of_table(file)
    if all(line.isdecimal() and len(line) < 19 for line in lines):
        return list(dict.fromkeys(("", int(line)) for line in lines))
    return list(dict.fromkeys(line.removeprefix("./") for line in lines))


def _is_header(line: str) -> bool:
    """Whether a line names columns, one of which says which image is meant."""
    rows = (next(csv.reader([line], delimiter=d), []) for d in ",\t;")
    return any(cell.strip() in ("path", "index") for row in rows for cell in row)


def _of_table(file: Path) -> list[str] | list[Position]:
    keys = list(read_sidecar(file).row_of)
    if not keys:
        raise UserError(f"{file} names no image below its first line")
    if isinstance(keys[0], str):
        return [str(key) for key in keys]
    return [key if isinstance(key, tuple) else ("", key) for key in keys]


def in_words_of_list(names: Iterable[str | Position]) -> str:
    """The first three of a list, as a message can hold them."""
    return first_three(name if isinstance(name, str) else as_word(name) for name in names)


def as_word(position: Position) -> str:
    """A position as one word: ``test:12``, or ``12`` where no split is named."""
    split, index = position
    return f"{split}:{index}" if split else str(index)
