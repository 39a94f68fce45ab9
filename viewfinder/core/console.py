"""Where the commands print, and how a line of text gets there unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from viewfinder.core.errors import one_line, printable


class Printable(Console):
    """A console whose text cannot steer the terminal: names of files and classes are others'
    words. Its own colours and bars stay."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


@cache
def console(*, stderr: bool = False) -> Console:
    """Where progress and tables go."""
    return Printable(emoji=False, stderr=stderr)  # folder:one:x is a path, no picture of a one


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


def say(text: str | Sequence[str], where: Console | None = None) -> None:
    """Print a line, or several, as they are: nothing in them is markup or steers the terminal, and
    none is broken, neither for a narrow window nor by a newline in the name of a file."""
    for line in [text] if isinstance(text, str) else text:
        (where or console()).print(one_line(line), highlight=False, markup=False, soft_wrap=True)
