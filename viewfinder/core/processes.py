"""Whether another process of this machine still runs."""

from __future__ import annotations

import os
from pathlib import Path


def is_running(pid: int, since: str | None = None) -> bool:
    """Whether there is a process of that number; with ``since``, as ``started`` gave it, whether it
    is still the same one: numbers are used again, and soon where each container begins at 1.

    True where the system does not tell.

    >>> is_running(os.getpid()), is_running(os.getpid(), since="long ago")
    (True, False)
    """
    if os.name == "nt":  # there, asking is a way of killing
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return since is None or started(pid) in (None, since)


def started(pid: int) -> str | None:
    """When a process began, in the system's own count; None where it does not tell."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{words[19]} after {boot}"
    except (OSError, IndexError):
        return None
