"""The scores of a run, kept in its results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from viewfinder.core.errors import UserError, brief, in_words
from viewfinder.core.files import locked, write_atomically
from viewfinder.core.validation import expected
from viewfinder.evaluation.probes.scores import FOUND, AnyScore, RegressionScore, Score

_FIX = "move it away; a new one will be written"


def read_results(path: Path) -> list[AnyScore]:
    """The scores kept in ``path``; none where there is no such file.

    Raises UserError where the file is not a list of scores, and, with the number of the score and
    its key, for a value that no score can have.
    """
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a list of scores: {brief(error)}", fix=_FIX) from error
    if not isinstance(entries, list):
        raise UserError(f"{path} is not a list of scores: {in_words(entries)}", fix=_FIX)
    return [_score(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _score(path: Path, number: int, entry: Any) -> AnyScore:
    kind = RegressionScore if isinstance(entry, dict) and "r2" in entry else Score
    try:
        return kind.model_validate(entry, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        about = f"{key} is {in_words(problem['input'])}: " if key else ""
        wrong = f"{about}{expected(problem['msg'])}"
        raise UserError(
            f"{path} is not a list of scores as they were written, in score {number}: {wrong}",
            fix=_FIX,
        ) from error


def append_results(path: Path, entries: Iterable[AnyScore]) -> None:
    """Add scores to the JSON list in ``path``; an earlier one of the same features that was
    measured in the same way is replaced, whatever the probe found (``FOUND``).

    The file is replaced whole, so it is never seen half written, and several processes may append
    at the same time where the system has file locks.

    Raises UserError where the file cannot be read or written.
    """
    with locked(path.parent):
        kept = {_key(score): score for score in [*read_results(path), *entries]}
        text = json.dumps([score.model_dump() for score in kept.values()], indent=2)
        write_atomically(path, text + "\n")


def _key(score: AnyScore) -> str:
    set_to = {key: value for key, value in score.protocol.items() if key not in FOUND}
    return json.dumps([score.features, score.n_test, set_to], sort_keys=True)
