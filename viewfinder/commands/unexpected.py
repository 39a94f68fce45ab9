"""What nobody expected, in one line, and the details in a file for whoever mends it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from viewfinder.core.errors import brief

LOG = "error.log"


def told(error: Exception) -> str:
    """One line for the user that says what happened and where the details are, written here.

    They are appended to error.log in the folder of the run, where there is one, or go to a file of
    their own among the system's temporary ones.
    """
    text = " ".join(str(error).split())
    what = brief(f"{type(error).__name__}: {text}" if text else type(error).__name__, 500)
    place = _written(_details(error))
    where = f"the details are in {place}" if place else "the details could not be written anywhere"
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return f"memory ran out: {what}; {where}. Try: a smaller batch_size, or data.limit"
    return f"something unexpected happened: {what}; {where}"


def _details(error: Exception) -> str:
    try:
        own = version("viewfinder")
    except PackageNotFoundError:
        own = "from its source"
    words = " ".join(map(repr, sys.argv))
    about = f"viewfinder {own}, Python {platform.python_version()}, {platform.platform()}"
    return f"{about}\n{brief(words, 5_000)}\n\n{''.join(traceback.format_exception(error))}\n"


def _written(details: str) -> Path | None:
    """The file that took the details; None where none did."""
    data = details.encode("utf-8", "backslashreplace")
    run = Path(os.environ.get("VIEWFINDER_RUN", "") or os.devnull)
    try:
        if run.is_dir():
            with (run / LOG).open("ab") as file:
                file.write(data)
            return run / LOG
    except OSError:  # a full disk, perhaps the reason of it all
        pass
    try:
        handle, name = tempfile.mkstemp(prefix="viewfinder-", suffix=".log")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return Path(name)
    except OSError:
        return None
