"""What a command may write over: what is new, and what the same command wrote before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from viewfinder.core.errors import UserError
from viewfinder.core.files import check_replaceable, path_of

ENDS = 1 << 20
"""Bytes at both ends of a file in which its marks are looked for: heads of pages and pictures, and
the metadata of Parquet and npz, which stand last."""
PICTURE = (b"Software\0viewfinder",)
"""The mark of a figure as PNG, see ``core.files.write_figure``."""


def check_out(
    path: Path | str, marks: Sequence[bytes], *, endings: Sequence[str] = (), of: Path | None = None
) -> None:
    """Raise UserError, before anything is computed, where a command cannot or must not write
    ``path``: a folder, a link, a device, another ending than ``endings``, a place without
    permission, or a file that is not of the command itself.

    marks  what a file of the command contains, all of them
    of     the file that has the marks, where it is another one beside ``path``

    >>> check_out("/usr/photo.jpg", [b"x"], endings=[".html"])  # doctest: +SKIP
    UserError: ...: a name that ends in .html is expected. Try: --out /usr/photo.html
    """
    path = path_of(path)
    check_folder(path.parent)
    check_replaceable(path)
    if endings and path.suffix.lower() not in endings:
        raise UserError(
            f"--out {path}: a name that ends in {' or '.join(endings)} is expected",
            fix=f"--out {path.with_suffix(endings[0]) if path.name else 'found' + endings[0]}",
        )
    if path.exists() and not all(mark in _ends(of or path) for mark in marks):
        raise UserError(
            f"{path} exists and was not written by this command, so it is not written over",
            fix="another --out",
        )


def check_folder(folder: Path | str) -> None:
    """Raise UserError where ``folder`` is none and cannot be made, or cannot be written to."""
    folder = path_of(folder)
    there = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        what = "a link to what is not there" if there.is_symlink() else "no folder"
        raise UserError(f"{folder} cannot be written to: {there} is {what}", fix="another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{there} cannot be written to: permission denied", fix="another --out")


def _ends(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            first = file.read(ENDS)
            file.seek(max(file.tell(), path.stat().st_size - ENDS))
            return first + file.read(ENDS)
    except OSError:
        return b""
