"""The ``viewfinder`` command: what may go wrong is one message and an exit code, no traceback."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import signal
import sys
import warnings
from typing import Any, NoReturn

APP = ("typer", "rich", "lightning")
"""What the commands need beyond the library, among what the extra ``app`` installs."""


def main() -> None:
    """Entry point. Exit codes: 2 for a mistake of the user, 1 for a run that was stopped and for
    what nobody expected, 130 for what was interrupted."""
    missing = [name for name in APP if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"viewfinder: the commands need {', '.join(missing)}, which the library alone does not "
            'install. Try: pip install "viewfinder[app]"\n'
        )
        sys.exit(2)
    import typer

    from viewfinder.core.errors import InterruptedRun, RunStopped, UserError, one_line, printable

    # SIGTERM ends a command as Ctrl-C does, from the first import on: what is half done is tidied.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):  # the name of a file need not be text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    plain = warnings.formatwarning
    warnings.formatwarning = lambda *about: printable(plain(*about))
    try:
        from viewfinder.commands.cli import app

        try:
            code = app(standalone_mode=False)
        finally:
            sys.stdout.flush()  # what a full disk refuses shows here, not after the end
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Abort:  # what typer makes of Ctrl-C
        sys.stderr.write("viewfinder: interrupted\n")
        sys.exit(130)
    except UserError as error:
        sys.stderr.write(f"viewfinder: {one_line(str(error))}\n")
        sys.exit(2)
    except RunStopped as error:
        sys.stderr.write(f"viewfinder: {one_line(str(error))}\n")
        sys.exit(130 if isinstance(error, InterruptedRun) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("viewfinder: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:  # whoever read it has seen enough: viewfinder methods | head
        _close_output()
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's, of wrong words
            _show(error)
        from viewfinder.commands.unexpected import told

        sys.stderr.write(f"viewfinder: {one_line(told(error))}\n")
        _close_output()
        sys.exit(1)
    finally:
        warnings.formatwarning = plain
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _show(error: Any) -> NoReturn:
    """Say what typer finds wrong; for a key written like an option, how keys are written."""
    from viewfinder.core.errors import one_line

    option = getattr(error, "option_name", None)
    told = None
    if option is not None and hasattr(error, "possibilities"):  # one that there is not
        from viewfinder.commands.words import as_key

        told = as_key(option, sys.argv, guess=not error.possibilities)
    if told is None:
        if "Input should be" in getattr(error, "message", ""):  # pydantic's, by way of typer
            from viewfinder.core.validation import expected

            error.message = expected(error.message)
        error.show()
        if (example := _example(error)) is not None:
            sys.stderr.write(f"Such as: {example}\n")
    else:
        sys.stderr.write(f"viewfinder: {one_line(told)}\n")
    sys.exit(error.exit_code)


def _example(error: Any) -> str | None:
    """The command line that the help of a command gives, where an argument or option is missing."""
    context = getattr(error, "ctx", None)
    if context is None or not error.format_message().startswith("Missing"):
        return None
    lines = (line.strip() for line in (context.command.help or "").splitlines())
    return next((line for line in lines if line.startswith("viewfinder ")), None)


def _close_output() -> None:
    """Have Python write nothing more where nothing can be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
