"""What a file may replace: a file, or nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import replacing, write_atomically


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


def _link(path: Path) -> None:
    (path.parent / "aim").write_text("kept")
    path.symlink_to(path.parent / "aim")


KINDS: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a link": _link,
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.skipif(os.name != "posix", reason="kinds of files")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    KINDS[kind](path)
    before = path.lstat()
    with pytest.raises(UserError, match=f"{path} cannot be written: it is a") as caught:
        write_atomically(path, "content")
    assert kind in str(caught.value) or kind == "a device"
    assert path.lstat().st_ino == before.st_ino
    assert not list(tmp_path.glob(".*"))
    if kind == "a link":
        assert (tmp_path / "aim").read_text() == "kept"


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(UserError, match="it is a device"):
        write_atomically(Path("/dev/null"), "content")
    assert Path("/dev/null").is_char_device()


def test_writing_clears_what_a_killed_process_left_of_the_same_file(tmp_path: Path) -> None:
    left = [tmp_path / ".a[1].json.4194305.tmp", tmp_path / ".other.4194305.tmp"]
    for file in left:
        file.touch()
    with replacing(tmp_path / "a[1].json") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a[1].json").read_text() == "whole"
    assert [file.exists() for file in left] == [False, True]


def test_what_others_say_is_told_in_a_line() -> None:
    assert brief("a\n  b") == "a b"
    assert len(brief("x" * 10**6)) == 300
    assert brief(ValueError()) == "ValueError"
