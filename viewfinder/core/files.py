"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from viewfinder.core.errors import RunStopped, UserError, in_words, shortened


def path_of(text: Path | str) -> Path:
    """The path that a user wrote, with ``~`` as a home. Raises UserError for what is no path.

    >>> path_of("photos")
    PosixPath('photos')
    """
    if "\0" in str(text):
        raise UserError(f"{in_words(str(text))} is no path: it has a zero byte in it")
    try:
        path = Path(text).expanduser()
        path.exists()  # a name can be too long, or in a folder that may not be looked into
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{shortened(str(text))} cannot be looked for: {why}") from None
    return path


def file_of(text: Path | str) -> Path:
    """The same of a file to be read. Raises UserError where there is something else, such as a
    folder, or a device that would never end."""
    path = path_of(text)
    if not path.exists():
        raise UserError(f"there is no file {path}")
    if not path.is_file():
        raise UserError(f"{path} is no file, but a {'folder' if path.is_dir() else 'device'}")
    return path


@contextmanager
def reading(what: Path | str, fix: str | None = None) -> Iterator[None]:
    """Turn whatever a damaged file makes its reader raise, which may be anything, into a UserError
    that names ``what`` was read."""
    try:
        yield
    except (UserError, RunStopped):
        raise
    except Exception as error:
        kind = type(error).__name__
        told = shortened(" ".join(str(error).split()), 300)
        raise UserError(
            f"{shortened(str(what), 300)} cannot be read (damaged?): {kind}: {told}", fix=fix
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses inside the block into a UserError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}",
            fix="another place, or freeing some space",
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The folder is made where it is missing. Whatever stops the block, ``path`` keeps its earlier
    content and the temporary file is removed.

    Raises UserError where the folder or the file cannot be made; errors of the block pass as they
    are, so wrap its own writes in ``writing``.

    >>> with replacing(path) as temporary, writing(path):  # doctest: +SKIP
    ...     temporary.write_text("[]")
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with writing(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):  # a disk that refused the file may refuse this too
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content``. Raises UserError where the file system refuses."""
    with replacing(path) as temporary, writing(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_figure(figure: Any, path: Path, *, dpi: int = 110) -> None:
    """Replace ``path`` by a Matplotlib figure as PNG. Raises UserError where that is refused."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    write_atomically(path, buffer.getvalue())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads that ask the same out of ``folder``, by its file ``.lock``.

    Raises UserError where the lock cannot be made.
    """
    from filelock import FileLock  # comes with the commands, not with the library alone

    lock = FileLock(folder / ".lock")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
