"""The points of a sweep, one after another: each claimed, trained and kept; several processes on
one folder share them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from viewfinder.core.console import say
from viewfinder.core.errors import InterruptedRun, RunStopped, UserError
from viewfinder.runs.in_progress import InUse, in_progress
from viewfinder.sweeps.plan import Point, unfinished

Work = Callable[[Point], dict[str, Any]]
"""Trains a point in its folder, and goes on where it was begun; what it found, as JSON data."""
WAIT = 2.0
"""Seconds between looks at the points that other processes train."""


class Outcome(NamedTuple):
    """What became of a point: "kept", "busy" (another process has it) or "failed", and why."""

    state: str
    why: str = ""


def attempt(point: Point, work: Work) -> Outcome:
    """Train a point, unless another process does or did, and keep what was found.

    A run that was stopped, at collapse for one, has found that: the same would happen again. What
    fails otherwise is not kept, so that the next command tries it anew.

    Raises InterruptedRun at Ctrl-C and SIGTERM.
    """
    try:
        with in_progress(point.folder):
            if point.result() is None:
                point.keep(_found(point, work))
        return Outcome("kept")
    except InUse as error:
        return Outcome("busy", error.message)
    except (InterruptedRun, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever it is must not cost the other points
        told = str(error) if isinstance(error, UserError | RunStopped) else repr(error)
        return Outcome("failed", told)


def _found(point: Point, work: Work) -> dict[str, Any]:
    try:
        return {"stopped": None, **work(point)}
    except InterruptedRun:
        raise
    except RunStopped as stop:
        return {"stopped": str(stop)}


def one_after_another(points: Sequence[Point], work: Work) -> dict[str, str]:
    """Train all points that are not finished; waits for those that other processes train, and takes
    over where such a process is gone.

    Returns of the points that failed the reason, by name. Each is tried once.
    """
    failed: dict[str, str] = {}
    waiting = False
    while True:
        rest = [point for point in unfinished(points) if point.name not in failed]
        if not rest:
            return failed
        states = []
        for number, point in enumerate(rest):
            if point.result() is not None:  # another process has finished it meanwhile
                continue
            say(f"point {point.name} ({len(points) - len(rest) + number + 1} of {len(points)})")
            outcome = attempt(point, work)
            states.append(outcome.state)
            if outcome.state == "failed":
                failed[point.name] = outcome.why
                say(f"note: point {point.name} failed: {outcome.why}")
            elif outcome.state == "kept":
                waiting = False
        if states and all(state == "busy" for state in states):
            if not waiting:
                say(f"waiting for {len(states)} points that other processes train")
            waiting = True
            time.sleep(WAIT)
