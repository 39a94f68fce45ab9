"""Attributes from columns of text, as users have them in ``attributes.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from viewfinder.core.errors import UserError, unknown
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Attributes
from viewfinder.positives.assignment import Assignment, each_other_its_own
from viewfinder.positives.tag_matrix import tags_of_cells

_MISSING = ("", "nan", "na", "n/a", "null")
_ZERO = ("0", "0.0", "false")
_ONE = ("1", "1.0", "true")


@dataclass(frozen=True)
class ColumnOptions:
    """How columns of text are to be understood.

    bins         so many bins of equal count for columns of real numbers; None: they are refused
    categorical  columns whose values are names, whatever they look like
    continuous   columns of whole numbers that are quantities, to be binned like real numbers
    separator    parts the tags of a cell; a column in which it occurs has several values a cell
    """

    bins: int | None = None
    categorical: Sequence[str] = ()
    continuous: Sequence[str] = ()
    separator: str = ";"


@dataclass(frozen=True)
class Columns:
    """Parsed columns: attributes int64 (N, A) with -1 where missing, and notes for the user.

    ``known`` bool (N,): of which data the table has a line; None: of all.
    """

    attributes: Attributes
    notes: Sequence[str] = field(default=())
    known: np.ndarray | None = None

    @property
    def described(self) -> Attributes:
        """The attributes of the data of which there is a line."""
        if self.known is None:
            return self.attributes
        return replace(self.attributes, values=self.attributes.values[self.known])

    def spread(self, made: Assignment) -> Assignment:
        """Clusters of the ``described`` data as those of all: each other is its own."""
        return made if self.known is None else each_other_its_own(made, self.known)


def parse_columns(
    columns: Mapping[str, Sequence[str]],
    where: str,
    options: ColumnOptions | None = None,
    chosen: Sequence[str] | None = None,
) -> Columns:
    """Attributes from columns of text of equal length N, each understood by itself.

    - cells with the separator: tags, one binary attribute "column=tag" for each of them
    - only 0 and 1 (or true and false): a binary attribute; an empty cell, NaN or other text in it
      is refused
    - real numbers: binned at quantiles; whole numbers and text: categories, numbered in order
      (empty cells and NaN are missing, -1)

    ``where`` names the table in messages. Of ``chosen`` columns, also as "column=value", the others
    are not looked at. Raises UserError for a table without columns, a column that is named in the
    options or chosen but is not there, and what is said above.
    """
    options = options or ColumnOptions()
    if not columns:
        raise UserError(f"{where} has no columns of attributes", fix="path,gender,colour")
    for name in (*options.categorical, *options.continuous):
        if name not in columns:
            raise unknown(f"column of {where}", name, columns)
    if chosen is not None:
        wanted = [name if name in columns else name.split("=", 1)[0] for name in chosen]
        for name in wanted:
            if name not in columns:
                raise unknown(f"column of {where}", name, columns)
        columns = {name: cells for name, cells in columns.items() if name in wanted} or columns
    names: list[str] = []
    arrays: list[np.ndarray] = []
    words: dict[str, Sequence[str]] = {}
    notes: list[str] = []
    for name, cells in columns.items():
        text = np.char.strip(np.asarray(cells, dtype=np.str_))
        if options.separator in "".join(np.unique(text).tolist()):
            found = tags_of_cells(text.tolist(), separator=options.separator)
            notes += [f"{name}: {note}" for note in found.notes]
            names += [f"{name}={tag}" for tag in found.names]
            arrays += list(found.matrix.T.astype(np.int64))
            continue
        codes, value_words, more = _one_column(name, text, where, options)
        names.append(name)
        arrays.append(codes)
        notes += more
        if value_words is not None:
            words[name] = value_words
    return Columns(Attributes(np.stack(arrays, axis=1), names, words), notes)


def quantile_bins(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins of equal count: int64 codes (N,), -1 where NaN, and the inner edges, rising.

    A value on an edge belongs to the bin above it. Repeated values can make fewer bins than asked.

    >>> quantile_bins(np.array([1.0, 2.0, 3.0, 4.0]), 2)[0]
    array([0, 0, 1, 1])
    """
    if bins < 2:
        raise UserError(f"bins is {bins}; at least 2 are needed", fix="positives.bins=4")
    known = values[~np.isnan(values)]
    inner = np.quantile(known, np.arange(1, bins) / bins)
    edges = np.unique(inner[inner > known.min()])
    codes = np.searchsorted(edges, values, side="right").astype(np.int64)
    return np.where(np.isnan(values), -1, codes), edges


def _one_column(
    name: str, text: np.ndarray, where: str, options: ColumnOptions
) -> tuple[np.ndarray, Sequence[str] | None, list[str]]:
    """Codes int64 (N,), the values in words where they are not 0 and 1, and notes."""
    distinct, inverse = np.unique(text, return_inverse=True)
    lower = [value.lower() for value in distinct.tolist()]
    missing = np.array([value in _MISSING for value in lower])
    number = np.array([_number(value) for value in lower])
    if name not in options.categorical and name not in options.continuous:
        binary = np.array([value in _ZERO or value in _ONE for value in lower])
        strange = ~binary & (missing | np.isnan(number))
        if binary.any() and (binary | strange).all():
            if strange.any():
                raise _not_binary(name, where, text, strange[inverse])
            return np.array([value in _ONE for value in lower], np.int64)[inverse], None, []
    order = np.flatnonzero(~missing)
    if name not in options.categorical and not np.isnan(number[order]).any():
        if name in options.continuous or (number[order] != np.round(number[order])).any():
            return _binned(name, number[inverse], where, options.bins)
        order = order[np.argsort(number[order], kind="stable")]
    elif name in options.continuous:
        raise UserError(f"{where}: column {name} is to be continuous, but holds text")
    codes = np.full(len(distinct), -1, np.int64)
    codes[order] = np.arange(len(order))
    note = f"{name}: {int(missing[inverse].sum())} of {len(text)} values are missing"
    return codes[inverse], distinct[order].tolist(), [note] if missing.any() else []


def _binned(
    name: str, values: np.ndarray, where: str, bins: int | None
) -> tuple[np.ndarray, Sequence[str], list[str]]:
    if np.isnan(values).all():
        return np.full(len(values), -1, np.int64), [], []
    if bins is None:
        raise UserError(
            f"{where}: column {name} holds real numbers ({first_five(values)}); clusters need "
            "categories",
            fix=f"positives.bins=4, or positives.categorical=[{name}], or leave {name} out: "
            "positives.columns=[...] with the names of the others",
        )
    codes, edges = quantile_bins(values, bins)
    ends = ["", *(f"{edge:.4g}" for edge in edges), ""]
    words = [f"[{low},{high})" for low, high in pairwise(ends)]
    return codes, words, [f"{name}: binned at {', '.join(ends[1:-1]) or 'no edge'}"]


def _number(text: str) -> float:
    """The number that a text spells; NaN where it spells none, or infinity."""
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _not_binary(name: str, where: str, text: np.ndarray, strange: np.ndarray) -> UserError:
    rows = np.flatnonzero(strange)
    cells = first_five(f"{text[row]!r} in line {row + 2}" for row in rows)
    return UserError(
        f"{where}: column {name} is binary except in {len(rows)} of {len(text)} cells ({cells})",
        fix=f"0 or 1 in every line, or positives.categorical=[{name}] to take every text, and a "
        "missing one, as a value of its own",
    )
