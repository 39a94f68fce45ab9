"""The scores of a run, kept in its results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from viewfinder.core.errors import UserError
from viewfinder.core.files import locked, write_atomically
from viewfinder.evaluation.probes.scores import AnyScore

_SCORES: TypeAdapter[list[AnyScore]] = TypeAdapter(list[AnyScore])


def read_results(path: Path) -> list[AnyScore]:
    """The scores kept in ``path``; none where there is no such file.

    Raises UserError where the file is not a list of scores.
    """
    if not path.exists():
        return []
    try:
        return _SCORES.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not a list of scores: {str(error).splitlines()[0]}",
            fix="move it away; a new one will be written",
        ) from error


def append_results(path: Path, entries: Iterable[AnyScore]) -> None:
    """Add scores to the JSON list in ``path``; an earlier one of the same features with an equal
    protocol is replaced.

    The file is replaced whole, so it is never seen half written, and several processes may append
    at the same time where the system has file locks.

    Raises UserError where the file cannot be read or written.
    """
    with locked(path.parent):
        kept = {_key(score): score for score in [*read_results(path), *entries]}
        text = json.dumps([score.model_dump() for score in kept.values()], indent=2)
        write_atomically(path, text + "\n")


def _key(score: AnyScore) -> str:
    return json.dumps([score.features, score.protocol], sort_keys=True)
