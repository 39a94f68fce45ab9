"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from viewfinder.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside ``path`` and rename into it. Raises UserError where the disk refuses."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # the same disk may refuse this too
            partial.unlink(missing_ok=True)
        raise UserError(
            f"{path} could not be written: {error}", fix="free space, or another folder"
        ) from error
