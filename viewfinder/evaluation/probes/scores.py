"""A score and how it was made: a number never travels alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from torch import Tensor

Fraction = Annotated[float, Field(ge=0, le=1)]
SHARED = ("data", "split", "n_train", "seed", "protocol", "options")
"""What two protocols must share, with the number of test images, for their scores to stand side by
side: the images and which of them (``split`` names a limit and a table of labels too), the seed,
the probe and what it was set to."""
FOUND = (
    *("notes", "weight_decay", "weight_decays", "iterations", "held_out_top1"),
    *("penalty", "penalties", "held_out_squared_error"),
)
"""The facts of a protocol that a probe finds out, which measuring again may change by a rounding;
what it was set to is in ``options``."""
IMAGES = ("data", "split", "n_train", "seed")
"""Those of them that say what was measured on, whatever the probe."""


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
    top1: Fraction
    top5: Fraction | None
    per_class: dict[str, Fraction]
    n_test: int = Field(ge=0)
    protocol: dict[str, JsonValue]

    @model_validator(mode="after")
    def _adds_up(self) -> Score:
        if self.top5 is not None and self.top5 < self.top1:
            raise ValueError(f"top5 is {self.top5}, less than top1, {self.top1}")
        return self


class RegressionScore(BaseModel):
    """How well a quantity is predicted on ``n_test`` images, with the protocol that made it.

    r2 is at most 1, and 0 or less for features that tell nothing; ``error`` is a mean absolute
    error, of a place the mean distance, in ``unit`` ("" where the data name none). ``features``
    and ``protocol`` as in ``Score``.

    >>> print(score.r2, score.error, score.unit)  # doctest: +SKIP
    0.93 1.2 px
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str = "trained"
    r2: float = Field(le=1, allow_inf_nan=False)
    error: float = Field(ge=0, allow_inf_nan=False)
    unit: str
    n_test: int = Field(ge=0)
    protocol: dict[str, JsonValue]


AnyScore = Score | RegressionScore
S = TypeVar("S", bound=Score | RegressionScore)


def comparable(scores: Iterable[S]) -> list[list[S]]:
    """Groups of scores that may be compared, in the order in which they first appear.

    >>> protocol = {"protocol": "knn", "data": "shapes", "split": "train -> test"}
    >>> score = Score(top1=0.5, top5=None, per_class={}, n_test=61, protocol=protocol)
    >>> other = score.model_copy(update={"n_test": 495})
    >>> [len(group) for group in comparable([score, other, score])]
    [2, 1]
    """
    groups: dict[str, list[S]] = {}
    for score in scores:
        groups.setdefault(conditions(score), []).append(score)
    return [*groups.values()]


def conditions(score: AnyScore, names: Sequence[str] = SHARED) -> str:
    """What was measured, on what and how, as far as ``names`` of the protocol and the number of
    test images say it: equal words for scores that may stand side by side."""
    return repr([score.n_test, *(score.protocol.get(name) for name in names)])


def what_sets_apart(score: AnyScore, others: Sequence[AnyScore]) -> list[str]:
    """The facts, in words, in which a score differs from others of the same data.

    >>> protocol = {"protocol": "knn", "data": "shapes", "split": "train -> test", "n_train": 9}
    >>> score = Score(top1=0.5, top5=None, per_class={}, n_test=61, protocol=protocol)
    >>> what_sets_apart(score, [score, score.model_copy(update={"n_test": 495})])
    ['train -> test', '9 -> 61 images']
    """
    alike = [o for o in others if o.protocol.get("data") == score.protocol.get("data")]
    found: list[str] = []
    parts = {conditions(other, ("split", "n_train")) for other in alike}
    if len(parts) > 1:
        found += [str(score.protocol.get("split", ""))]
        found += [f"{score.protocol.get('n_train')} -> {score.n_test} images"]
    here = conditions(score, ("split", "n_train", "protocol"))
    alike = [o for o in alike if conditions(o, ("split", "n_train", "protocol")) == here]
    for key in ("seed", "options"):
        if len({repr(other.protocol.get(key)) for other in alike}) > 1:
            words = flat({key: score.protocol.get(key)})
            found.append(", ".join(" ".join(item) for item in words))
    return found


def flat(protocol: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The facts of a protocol one by one, as names and words: ("options.k", "20")."""
    for key, value in protocol.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{name}.")
        else:
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)


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
