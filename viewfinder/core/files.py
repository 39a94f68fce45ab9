"""Writing a file so that a reader never meets half of it."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from viewfinder.core.errors import RunStopped, UserError, brief, in_words, nearest
from viewfinder.core.processes import is_running

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")


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
        raise UserError(f"{brief(text)} cannot be looked for: {why}") from None
    return path


def nearest_path(path: Path) -> Path | None:
    """What lies in the same folder under the name closest to that of a path that is not there.

    >>> nearest_path(Path("/usr/libb"))  # doctest: +SKIP
    PosixPath('/usr/lib')
    """
    try:
        names = sorted(one.name for one in islice(path.parent.iterdir(), 10_000))
    except OSError:
        return None
    like = nearest(path.name, [name for name in names if not name.startswith(".")], alike=0.7)
    return None if like is None else path.parent / like


def file_of(text: Path | str) -> Path:
    """The same of a file to be read. Raises UserError where there is something else, such as a
    folder, or a device that would never end."""
    path = path_of(text)
    if not path.exists():
        like = nearest_path(path)
        raise UserError(f"there is no file {path}", fix=None if like is None else str(like))
    if not path.is_file():
        raise UserError(f"{path} is no file, but a {'folder' if path.is_dir() else 'device'}")
    return path


def content_of(path: Path | str) -> str:
    """What tells files of one content from others, wherever they lie: 12 digits of its SHA-256."""
    with file_of(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


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
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise UserError(
                f"{brief(what)} takes more memory than there is",
                fix="a smaller data.size, or data.limit=1000",
            ) from error
        told = brief(error)
        raise UserError(
            f"{brief(what)} cannot be read (damaged?): {kind}: {told}", fix=fix
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
    content and the temporary file is removed; those of processes that were killed go now.

    Raises UserError where the folder or the file cannot be made, and where ``path`` is no file that
    could be replaced: a folder, a link, a device, a pipe, a socket. Errors of the block pass as
    they are, so wrap its own writes in ``writing``.

    >>> with replacing(path) as temporary, writing(path):  # doctest: +SKIP
    ...     temporary.write_text("[]")
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(path)
        remove_leftovers(path.parent, of=path.name)
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


def check_replaceable(path: Path) -> None:
    """Raise UserError where ``path`` exists and is anything but a file of its own.

    A rename would put a file where a device or a link was, and what others read there is gone.
    """
    kinds = {
        stat.S_ISLNK: "a link",
        stat.S_ISDIR: "a folder",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
    }
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    kind = next((kind for test, kind in kinds.items() if test(mode)), None)
    if kind is not None:
        to = f" to {path.resolve()}" if kind == "a link" else ""
        raise UserError(
            f"{path} cannot be written: it is {kind}{to}, which a file would replace",
            fix="the name of a file",
        )


def remove_leftovers(folder: Path, of: str | None = None) -> None:
    """Remove temporary files of processes that are gone: everywhere below ``folder``, or those
    beside the file ``of`` that were to take its place."""
    pattern = "**/.*.tmp" if of is None else f".{glob.escape(of)}.*.tmp"
    for path in folder.glob(pattern):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not is_running(int(match[1])):
            with suppress(OSError):
                path.unlink()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content``. Raises UserError where the file system refuses."""
    with replacing(path) as temporary, writing(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_figure(figure: Any, path: Path, *, dpi: int = 110) -> None:
    """Replace ``path`` by a Matplotlib figure as PNG. Raises UserError where that is refused."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": "viewfinder"})
    write_atomically(path, buffer.getvalue())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads that ask the same out of ``folder``, by its file ``.lock``.

    Raises UserError where the lock cannot be made.
    """
    from filelock import FileLock  # comes with the commands, not with the library alone

    lock = FileLock(folder / ".lock")
    with writing(folder / ".lock"):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
