"""Options of every command without their value."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from typer.main import get_command

from viewfinder.commands.cli import app
from viewfinder.commands.main import main


def with_value() -> Iterator[tuple[str, str]]:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.is_flag:
                yield from ((name, option) for option in parameter.opts)


@pytest.mark.parametrize(("command", "option"), with_value())
def test_an_option_without_its_value_is_told_by_name(
    command: str,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["viewfinder", command, option])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert option in err and "argument" in err
    assert "unexpected" not in err and "Traceback" not in err
