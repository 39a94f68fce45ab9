"""Where the commands print, and how a line of text gets there unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console


@cache
def console() -> Console:
    """Where progress and tables go."""
    return Console(emoji=False)  # folder:one:x is a path, not a picture of a one


@contextmanager
def progress(
    label: str, total: int, where: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """A bar of ``total`` steps while the block runs; silent where the output is no terminal.

    >>> with progress("reading", 10) as advance:
    ...     advance(10)
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    where = where or console()
    hidden = not where.is_terminal or bool(int(os.environ.get("LOCAL_RANK", 0)))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=where, transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def say(text: str, where: Console | None = None) -> None:
    """Print text as it is: nothing in it is markup, and no line is broken for a narrow window."""
    (where or console()).print(text, highlight=False, markup=False, soft_wrap=True)
