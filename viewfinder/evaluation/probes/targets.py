"""What is read from frozen features beside the class: a factor of the images by its name.

A word is ``NAME`` or ``NAME:UNIT``. Whole numbers, one per image, without a unit are classes; all
else is regressed. The unit ``deg`` or ``rad`` says that the factor is an angle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from viewfinder.core.errors import UserError, unknown
from viewfinder.data.source import Source, Split

LARGEST = 16  # values per image


@dataclass(frozen=True)
class Classes:
    """A target of classes: int64 (N,) for train and (M,) for test, with their names if known. A
    label of -1 is none."""

    name: str
    train: np.ndarray
    test: np.ndarray
    names: list[str] | None = None


@dataclass(frozen=True)
class Quantity:
    """A target to regress: float64 (N, K) and (M, K) in ``unit``; an angle, K = 1, has the
    ``period`` of a full turn in that unit. A ``place`` is one point of K coordinates, whose error
    is a distance."""

    name: str
    train: np.ndarray
    test: np.ndarray
    unit: str
    period: float | None = None
    place: bool = False


@dataclass(frozen=True)
class _Kind:
    unit: str
    scale: float = 1.0
    period: float | None = None
    place: bool = False


_DEGREES = _Kind("degrees", 180 / math.pi, 360.0)
_PIXELS = _Kind("px")
_ANGLES = {"deg": _Kind("degrees", 1.0, 360.0), "rad": _DEGREES}
# What the factors of ``shapes`` are; those that it gives as a fraction of the side are in _SIDES.
_SHAPES: Mapping[str, _Kind] = {
    **dict.fromkeys(("position", "distractor_position", "box"), _PIXELS),
    **dict.fromkeys(("texture_period", "background_period"), _PIXELS),
    **dict.fromkeys(("rotation", "hue", "background_angle"), _DEGREES),
    "mask_area": _Kind("px²"),
}
_SIDES = ("size", "distractor_size")
_MOVING_DIGITS: Mapping[str, _Kind] = {"position": _Kind("px", place=True)}


def find_target(source: Source, word: str | None) -> Classes | Quantity:
    """The labels of a source (``word`` None) or one of its factors, for train and test.

    Raises UserError where there is no test split, where the source has no labels or no such
    factor, and for a factor that holds no numbers, holds too many an image, is not finite, or is
    constant in train or in test.

    >>> find_target(open_source("shapes"), "position").unit  # doctest: +SKIP
    'px'
    """
    train, test = source.train, source.test
    if test is None:
        raise UserError(f"{source.spec} has no test split, so nothing can be measured on it")
    if word is None:
        if train.labels is None or test.labels is None:
            raise UserError(
                f"{source.spec} has no labels, so it cannot score anything",
                fix="a source with labels, data.labels=FILE.csv, or a factor: SOURCE#NAME",
            )
        if not ((train.labels >= 0).any() and (test.labels >= 0).any()):
            raise UserError(f"{source.spec}: train and test both need images with a label")
        names = None if train.class_names is None else list(train.class_names)
        return Classes("class", train.labels, test.labels, names)
    name, _, unit = word.partition(":")
    values = [_factor(source, split, name) for split in (train, test)]
    kind = _kind(source, name, unit)
    if kind is None and values[0].ndim == 1 and values[0].dtype.kind in "bui":
        return Classes(name, values[0].astype(np.int64), values[1].astype(np.int64))
    kind = kind or _Kind(unit)
    scaled = [kind.scale * v.astype(np.float64).reshape(len(v), -1) for v in values]
    found = Quantity(name, scaled[0], scaled[1], kind.unit, kind.period, kind.place)
    for split, numbers in (("train", found.train), ("test", found.test)):
        check_quantity(f"{name} of {source.spec} ({split})", numbers)
    if found.period is not None and found.train.shape[1] != 1:
        raise UserError(f"{name} has {found.train.shape[1]} values per image; an angle is one")
    return found


def _kind(source: Source, name: str, unit: str) -> _Kind | None:
    """What a factor is: as the user says, as the embedded sources know, or None."""
    if unit:
        return _ANGLES.get(unit, _Kind(unit))
    spec = source.spec.partition(":")[0]
    if spec == "moving-digits":
        return _MOVING_DIGITS.get(name)
    if spec != "shapes":
        return None
    if name in _SIDES:
        return _Kind("px", source.train.data.shape[-1])
    return _SHAPES.get(name)


def _factor(source: Source, split: Split, name: str) -> np.ndarray:
    known = [key for key in split.factors if key != "source_row"]
    if name not in known:
        if not known:
            raise UserError(
                f"{source.spec} ({split.name}) has no factors, so no {name!r}",
                fix="an npz file with an array of that name, one row per image",
            )
        raise unknown(f"factor of {source.spec}", name, known)
    values = np.asarray(split.factors[name])
    width = int(np.prod(values.shape[1:]))
    if values.dtype.kind not in "buif" or width > LARGEST or width == 0:
        raise UserError(
            f"{name} of {source.spec} is {values.dtype} {values.shape}; 1 to {LARGEST} real "
            "numbers an image are expected"
        )
    return values


def check_quantity(where: str, values: np.ndarray) -> None:
    """Raise UserError where values float (N, K) are not finite, or are constant."""
    broken = int((~np.isfinite(values)).any(axis=1).sum())
    if broken:
        raise UserError(f"{where}: {broken} of {len(values)} rows are not finite")
    for column in values.T:
        if column.min() == column.max():
            raise UserError(
                f"{where} is {column[0]:g} in all {len(column)} images; a constant says nothing "
                "about the features",
                fix="another factor, or a larger data.limit",
            )
