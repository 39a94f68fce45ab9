"""The ``viewfinder`` command: what may go wrong is one message and an exit code, no traceback."""

from __future__ import annotations

import importlib.util
import signal
import sys

APP = ("typer", "rich", "lightning")
"""What the commands need beyond the library, among what the extra ``app`` installs."""


def main() -> None:
    """Entry point. Exit codes: 2 for a mistake of the user, 1 for a run that was stopped, 130 for
    one that was interrupted."""
    missing = [name for name in APP if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"viewfinder: the commands need {', '.join(missing)}, which the library alone does not "
            'install. Try: pip install "viewfinder[app]"\n'
        )
        sys.exit(2)
    from viewfinder.core.errors import InterruptedRun, RunStopped, UserError

    # SIGTERM ends a command as Ctrl-C does, from the first import on: what is half done is tidied.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from viewfinder.commands.cli import app

        app()
    except UserError as error:
        sys.stderr.write(f"viewfinder: {error}\n")
        sys.exit(2)
    except RunStopped as error:
        sys.stderr.write(f"viewfinder: {error}\n")
        sys.exit(130 if isinstance(error, InterruptedRun) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("viewfinder: interrupted\n")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


if __name__ == "__main__":
    main()
