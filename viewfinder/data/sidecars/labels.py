"""Labels as users have them, turned into class numbers 0 .. K-1 with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.data.sidecars.read import first_five


def checked_labels(values: np.ndarray, count: int, where: str) -> np.ndarray:
    """Labels of ``count`` images as int64 or text (N,).

    Booleans, any integers and whole floats become int64; text stays. UserError, naming ``where``,
    for another length, more than one label per image, NaN, fractions and negative numbers.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise UserError(
            f"{where} has the shape {values.shape}; one label per image, shape ({count},), is "
            "expected",
            fix="store several labels per image as attributes (N, A) with attribute_names",
        )
    if len(values) != count:
        raise UserError(f"{where} holds {len(values)} labels for {count} images")
    if values.dtype.kind in "US":
        return values.astype(np.str_)
    if values.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
        if len(broken):
            raise UserError(
                f"{where}: {len(broken)} labels are not whole numbers: {values[broken[0]]} at "
                f"position {first_five(broken)}",
                fix="store class numbers as int64, or class names as text",
            )
    elif values.dtype.kind not in "iub":
        raise UserError(f"{where} has the type {values.dtype}; int64 or text is expected")
    numbers = values.astype(np.int64)
    negative = np.flatnonzero(numbers < 0)
    if len(negative):
        raise UserError(
            f"{where}: {len(negative)} labels are negative: {numbers[negative[0]]} at position "
            f"{first_five(negative)}",
            fix="move images without a label into unlabeled.npz, or leave the labels out",
        )
    return numbers


def checked_attributes(values: np.ndarray, count: int, where: str) -> np.ndarray:
    """Attributes of ``count`` images as int64 (N, A), -1 where missing."""
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or len(values) != count:
        raise UserError(f"{where} has the shape {values.shape}; ({count}, A) is expected")
    if values.dtype.kind not in "iub":
        raise UserError(
            f"{where} has the type {values.dtype}; int64 is expected",
            fix="number the values of each attribute from 0, with -1 where it is missing",
        )
    numbers = values.astype(np.int64)
    if len(numbers) and numbers.min() < -1:
        raise UserError(f"{where} holds {numbers.min()}; values from 0 are expected, -1 if missing")
    return numbers


def encode(
    labels: Mapping[str, np.ndarray],
    class_names: Sequence[str] | None = None,
    where: str = "labels",
) -> tuple[dict[str, np.ndarray], list[str] | None, list[str]]:
    """Class numbers (int64) of every split, the class names, and notes on what was renumbered.

    Text is numbered in sorted order (numerically if all of it is numbers), "" as -1, no label.
    Numbers with ``class_names`` must lie below their count; without, they are kept if they are
    0 .. K-1 and otherwise renumbered, their old numbers becoming the names. One class for all
    images says nothing, so it counts as no labels.
    """
    every = np.concatenate(list(labels.values()))
    every = every[every != ""] if every.dtype.kind == "U" else every
    kinds = {values.dtype.kind for values in labels.values()}
    if len(kinds) > 1:
        raise UserError(f"{where}: some splits have text and some have numbers as labels")
    if len(np.unique(every)) == 0:
        return {}, None, [f"{where}: none of the images has a label"]
    if len(np.unique(every)) == 1:
        note = f"{where}: all are {every[0]}, so the images count as unlabelled"
        return {}, None, [note]
    if kinds == {"U"}:
        names = _class_order(set(every.tolist()))
        number = {name: i for i, name in enumerate(names)} | {"": -1}
        coded = {
            split: np.array([number[name] for name in values.tolist()], dtype=np.int64)
            for split, values in labels.items()
        }
        return coded, names, []
    if class_names is not None:
        if every.max() >= len(class_names):
            raise UserError(
                f"{where} go up to {every.max()}, but there are {len(class_names)} class_names"
            )
        return dict(labels), list(class_names), []
    present = np.unique(every)
    if present[-1] == len(present) - 1:
        return dict(labels), None, []
    coded = {split: np.searchsorted(present, values) for split, values in labels.items()}
    note = f"{where} are {len(present)} numbers up to {present[-1]}; renumbered from 0"
    return coded, [str(number) for number in present], [note]


def _class_order(names: set[str]) -> list[str]:
    """Sorted by number where all names are whole numbers, else as text."""
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
