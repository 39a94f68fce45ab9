"""One process at a time trains in a run folder; which one stands in a file there."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.core.files import locked, remove_leftovers, write_atomically
from viewfinder.core.processes import is_running, started
from viewfinder.runs.checkpoint import remove_unfinished

NAME = "in-progress.json"


class InUse(UserError):
    """Another process is at work in a folder."""


@contextmanager
def in_progress(folder: Path) -> Iterator[None]:
    """Inside, other processes that want to train in a run folder are refused.

    The place of a process that is gone is taken, which is printed, and what dead processes have
    left half written is removed.

    Raises InUse, with the number and the machine of the process that is at work there.
    """
    own = {"pid": os.getpid(), "host": socket.gethostname(), "started": started(os.getpid())}
    file = folder / NAME
    with locked(folder):
        check_free(folder)
        if file.exists():
            say(f"note: {_who(_read(file))}, which trained in {folder}, is gone; it goes on here")
        write_atomically(file, json.dumps(own) + "\n")
        remove_leftovers(folder)
        remove_unfinished(folder / "checkpoints")
    try:
        yield
    finally:
        with suppress(OSError):
            if _read(file) == own:
                file.unlink()


def check_free(folder: Path) -> None:
    """Raise InUse where another process trains in a run folder, or one of another machine may.

    A process is known by its number and when it began.
    """
    known = _read(folder / NAME)
    pid, since = known.get("pid"), known.get("started")
    if not isinstance(pid, int) or pid <= 0:
        return
    here = known.get("host") == socket.gethostname()
    if here and not is_running(pid, since if isinstance(since, str) else None):
        return
    fix = "wait until it ends, or another --out"
    if not here:  # whether it runs cannot be seen from this machine
        fix = f"wait until it ends; remove {folder / NAME} if it is gone"
    raise InUse(f"{folder} is in use: {_who(known)} trains in it", fix=fix)


def _who(known: dict[str, Any]) -> str:
    if not isinstance(known.get("pid"), int):
        return f"a process that its {NAME} does not tell"
    return f"process {known['pid']} on {str(known.get('host'))[:80]}"


def _read(file: Path) -> dict[str, Any]:
    """What a process has written of itself; {} where there is nothing of the kind."""
    try:
        with file.open("rb") as handle:
            known = json.loads(handle.read(4096))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
