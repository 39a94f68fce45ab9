"""What others wrote, such as the name of a file, must not steer the terminal of who reads it."""

from __future__ import annotations

import io
import sys
import unicodedata
import warnings

import pytest
from rich.table import Table

from viewfinder.commands import cli, main
from viewfinder.core.console import Printable, say
from viewfinder.core.errors import RunStopped, UserError

CONTROLS = [c for c in map(chr, range(256)) if unicodedata.category(c) == "Cc" and c not in "\n\t"]
HOSTILE = "a" + "".join(CONTROLS) + "\u202e\u2028\nviewfinder: all is well"


def steering(text: str) -> list[str]:
    return [c for c in text if c in CONTROLS or c in "\u202e\u2028"]


@pytest.mark.parametrize("terminal", [False, True], ids=["a file", "a terminal"])
def test_what_is_said_is_one_line_and_steers_nothing(terminal: bool) -> None:
    out = io.StringIO()
    where = Printable(file=out, force_terminal=terminal, color_system=None)
    say(f"note: {HOSTILE}", where)
    say([HOSTILE, HOSTILE], where)
    assert steering(out.getvalue()) == []
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert not any(line.startswith("viewfinder:") for line in lines)


def test_no_cell_title_or_heading_of_a_table_steers_the_terminal() -> None:
    out = io.StringIO()
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    Printable(file=out).print(table, markup=False)
    assert "all is well" in out.getvalue()
    assert steering(out.getvalue()) == []


def test_the_consoles_own_colours_stay() -> None:
    out = io.StringIO()
    Printable(file=out, force_terminal=True, color_system="standard").print("[red]x[/red]")
    assert "\x1b[31mx" in out.getvalue()


@pytest.mark.parametrize("kind", [UserError, RunStopped, RuntimeError])
def test_an_error_is_one_line_and_steers_nothing(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise kind(HOSTILE)

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit):
        main.main()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert steering(told) == []


def test_a_warning_of_a_command_steers_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warns(**_: object) -> None:
        sys.stderr.write(warnings.formatwarning(HOSTILE, UserWarning, "x.py", 1))  # type: ignore[arg-type]

    monkeypatch.setattr(cli, "app", warns)
    with pytest.raises(SystemExit):
        main.main()
    assert steering(capsys.readouterr().err) == []
