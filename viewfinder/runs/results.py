"""A score and how it was made: a number never travels alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.files import locked, write_atomically


class Score(BaseModel):
    """Accuracies in 0..1 on ``n_test`` images, with the protocol that made them.

    ``features`` says whose: "trained", "untrained", "raw pixels", "supervised" or any other words.
    top5 is None for five classes or fewer, where it would be 1 whatever the features are. per_class
    has the accuracy of every class with a test image, by its name. ``protocol`` holds all that is
    needed to repeat the measurement, as JSON values.

    >>> print(score.top1, score.protocol["protocol"])  # doctest: +SKIP
    0.61 knn
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str = "trained"
    top1: float
    top5: float | None
    per_class: dict[str, float]
    n_test: int
    protocol: dict[str, JsonValue]


class RegressionScore(BaseModel):
    """How well a quantity is predicted on ``n_test`` images, with the protocol that made it.

    r2 is at most 1, and 0 or less for features that tell nothing; ``error`` is a mean absolute
    error in ``unit`` ("" where the data name none). ``features`` and ``protocol`` as in ``Score``.

    >>> print(score.r2, score.error, score.unit)  # doctest: +SKIP
    0.93 1.2 px
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str = "trained"
    r2: float
    error: float
    unit: str
    n_test: int
    protocol: dict[str, JsonValue]


AnyScore = Score | RegressionScore
_SCORES: TypeAdapter[list[AnyScore]] = TypeAdapter(list[AnyScore])


def accuracies(
    scores: Tensor, labels: Tensor, class_names: Sequence[str]
) -> tuple[float, float | None, dict[str, float]]:
    """Top-1, top-5 and the accuracy of each class, from scores (n, C) and labels int64 (n,).

    A class whose score is −inf is never counted as predicted, so a top-5 of fewer than five
    candidates is the top of those there are.
    """
    best = scores.topk(min(5, scores.shape[1]), dim=1)
    hits = (best.indices == labels[:, None]) & (best.values > -torch.inf)
    first = hits[:, 0].double()
    counts = torch.bincount(labels, minlength=scores.shape[1])
    right = torch.bincount(labels, weights=first, minlength=scores.shape[1])
    per_class = {
        name: r / n
        for name, r, n in zip(class_names, right.tolist(), counts.tolist(), strict=True)
        if n
    }
    top5 = hits.any(1).double().mean().item() if scores.shape[1] > 5 else None
    return first.mean().item(), top5, per_class


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
            fix="moving it away; a new one is written",
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
