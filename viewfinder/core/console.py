"""Where the commands print, and how a line of text gets there unchanged."""

from __future__ import annotations

from functools import cache

from rich.console import Console


@cache
def console() -> Console:
    """Where progress and tables go."""
    return Console(emoji=False)  # folder:one:x is a path, not a picture of a one


def say(text: str, where: Console | None = None) -> None:
    """Print text as it is: nothing in it is markup, and no line is broken for a narrow window."""
    (where or console()).print(text, highlight=False, markup=False, soft_wrap=True)
