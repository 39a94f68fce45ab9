"""How far a reproduction is: what it tells whoever asks."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (runs finished, runs in all, what has just finished)."""


def silent(done: int, total: int, what: str) -> None:
    """The progress that nobody watches."""
