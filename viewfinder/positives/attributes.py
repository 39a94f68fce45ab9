"""Clusters from attributes: data that share the values of the k most diverse ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError, unknown
from viewfinder.core.ranges import Count, Rows
from viewfinder.core.table import Options
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Attributes
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attribute_file import attributes_of
from viewfinder.positives.columns import ColumnOptions
from viewfinder.positives.contract import Given, Positives
from viewfinder.positives.rare import merge_rare
from viewfinder.positives.tuples import Entry, tuple_ranks

Rare = Literal["prefix", "rest", "instance"]

_ROWS = 1 << 12  # rows looked at together, so that they stay in the cache


class AttributesOptions(Options):
    file: str | None = Field(None, description="attributes.csv; null: the source's own attributes")
    top_k: Count | None = Field(
        None, description="so many columns of highest entropy; each value of a category is a column"
    )
    columns: list[str] | None = Field(None, description="or these, by name")
    min_size: Rows = Field(1, description="tuples that fewer images have are rare")
    rare: Rare = Field("prefix", description="what becomes of rare tuples: prefix, rest, instance")
    bins: int | None = Field(
        None, ge=2, le=1_000_000, description="quantile bins of real-valued columns"
    )
    categorical: list[str] = Field(
        [], description="columns that are names, whatever they look like"
    )
    continuous: list[str] = Field([], description="columns of whole numbers that are quantities")
    separator: str = Field(";", min_length=1, description="parts the tags of a cell")

    @property
    def reading(self) -> ColumnOptions:
        """How the columns of the file are to be understood."""
        return ColumnOptions(self.bins, self.categorical, self.continuous, self.separator)


@dataclass(frozen=True)
class BinaryAttribute:
    """One column of the one-hot table: whether attribute ``column`` has the value ``value``.

    ``count`` of ``n`` data have it.
    """

    name: str
    column: int
    value: int
    count: int
    n: int

    @property
    def entropy(self) -> float:
        """Entropy in nats of a Bernoulli variable with p = count / n; at most log 2."""
        p = self.count / self.n
        return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


@dataclass(frozen=True)
class Ranking:
    """The one-hot table's columns by falling entropy, and the attributes that say nothing."""

    columns: Sequence[BinaryAttribute]
    constant: Sequence[str]

    def notes(self) -> list[str]:
        """What was dropped, in words."""
        if not self.constant:
            return []
        return [
            f"dropped: {counted(len(self.constant), 'constant attribute')} "
            f"({first_five(self.constant)})"
        ]


def rank(table: Attributes) -> Ranking:
    """One-hot the attributes and rank the columns by entropy (CI-InfoNCE, section 3.1).

    values: any integers (N, A), -1 where missing. A binary attribute (0/1, nothing missing) is one
    column; so is one with two values, as the second column would repeat the first. Any other is a
    column for each of its values, where a missing value is 0 in all of them. Equal entropies keep
    the order of the attributes and of their values.
    """
    n = len(table.values)
    columns: list[BinaryAttribute] = []
    constant: list[str] = []
    for column, (values, counts) in enumerate(_value_counts(table.values)):
        name = str(table.names[column])
        known = [(int(v), int(c)) for v, c in zip(values, counts, strict=True) if v != -1]
        if len(values) == 1:
            constant.append(name)
            continue
        if len(known) == 2 and len(values) == 2:
            known = known[1:]
        columns += [
            BinaryAttribute(_column_name(table, name, v, known), column, v, count, n)
            for v, count in known
        ]
    # min(count, n - count) orders as the entropy does, without rounding
    columns.sort(key=lambda c: -min(c.count, n - c.count))
    return Ranking(columns, constant)


def attributes(
    table: Attributes,
    *,
    top_k: int | None = None,
    columns: Sequence[str] | None = None,
    min_size: int = 1,
    rare: Rare = "prefix",
) -> Assignment:
    """Clusters of data whose chosen attributes all agree (CI-InfoNCE, section 3.1).

    table     values of any integer type (N, A), -1 where missing
    top_k     so many columns of the one-hot table, those of highest entropy
    columns   or these, by name: an attribute ("gender") or a one-hot column ("gender=Men")
    min_size  what to do with tuples that fewer data have (CI-InfoNCE keeps them: min_size=1) is
              said by ``rare``: "prefix" drops the last chosen attributes until enough rare ones
              agree; "rest" makes one cluster of them all; "instance" makes each datum its own

    Clusters are numbered in the order of their tuples. With min_size=1 they are nested: a larger
    top_k refines a smaller one.

    Raises UserError where top_k exceeds the usable columns, a name is unknown or no column is left.

    >>> table = Attributes(np.array([[0, 1], [0, 0], [1, 1], [1, 1]]), ["soft", "red"])
    >>> attributes(table, top_k=2).z
    array([1, 0, 2, 2])
    """
    if (top_k is None) == (columns is None):
        raise UserError(
            "clusters from attributes take either the number of attributes or their names",
            fix="positives.top_k=4, or positives.columns=[gender,season]; "
            "`viewfinder clusters` shows what each top_k gives",
        )
    if columns is not None:
        entries, notes = _named(table, columns)
    else:
        assert top_k is not None
        entries, notes = _highest(rank(table), top_k)
    z = tuple_ranks(table.values, entries)
    if min_size > 1:
        z, more = merge_rare(z, table.values, entries, min_size, rare)
        notes = [*notes, *more]
    return Assignment(z, notes=tuple(notes))


def _highest(ranking: Ranking, top_k: int) -> tuple[list[Entry], list[str]]:
    if not 1 <= top_k <= len(ranking.columns):
        dropped = "; ".join(["", *ranking.notes()])
        raise UserError(
            f"top_k is {top_k}, but there are {len(ranking.columns)} usable columns{dropped}",
            fix=f"positives.top_k={max(1, len(ranking.columns))}" if ranking.columns else None,
        )
    chosen = ranking.columns[:top_k]
    return [Entry(c.column, c.value) for c in chosen], [*ranking.notes(), *_parted(ranking, chosen)]


def _parted(ranking: Ranking, chosen: Sequence[BinaryAttribute]) -> list[str]:
    """Says that an attribute of several values is chosen by its values, one at a time."""
    made = Counter(c.column for c in ranking.columns)
    parts = [c.name for c in chosen if made[c.column] > 1]
    if not parts:
        return []
    return [
        f"an attribute of several values counts as a column for each of them "
        f"(such as {parts[0]}); positives.columns takes an attribute whole"
    ]


def _named(table: Attributes, columns: Sequence[str]) -> tuple[list[Entry], list[str]]:
    ranking = rank(table)
    whole = {str(name): i for i, name in enumerate(table.names)}
    single = {c.name: c for c in ranking.columns}
    entries, dropped = [], []
    for name in columns:
        if name in ranking.constant:
            dropped.append(name)
        elif name in whole:
            entries.append(Entry(whole[name], None))
        elif name in single:
            entries.append(Entry(single[name].column, single[name].value))
        else:
            raise unknown("attribute", name, [*whole, *(n for n in single if n not in whole)])
    if not entries:
        raise UserError(
            f"all of the chosen attributes are constant or none is named ({first_five(columns)})",
            fix=f"one of {first_five([c.name for c in ranking.columns])}",
        )
    notes = [f"dropped: {counted(len(dropped), 'constant attribute')} ({first_five(dropped)})"]
    return entries, notes if dropped else []


def _value_counts(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each column its observed values, ascending, and how often each occurs."""
    if values.ndim != 2 or len(values) == 0 or values.dtype.kind not in "iub":
        raise ValueError(
            f"attributes are {values.dtype} {values.shape}; integers (N, A) with N >= 1 are needed"
        )
    n, width = values.shape
    ones = np.zeros(width, np.int64)
    binary = np.ones(width, bool)
    for start in range(0, n, _ROWS):
        block = values[start : start + _ROWS]
        is_one = block == 1
        ones += is_one.sum(0)
        if values.dtype.kind != "b":
            binary &= (is_one | (block == 0)).all(0)
    for column in range(width):
        if binary[column]:
            counts = np.array([n - ones[column], ones[column]])
            yield np.flatnonzero(counts), counts[counts > 0]
        else:
            yield np.unique(values[:, column], return_counts=True)


def _column_name(table: Attributes, name: str, value: int, known: Sequence[tuple[int, int]]) -> str:
    words = table.value_names.get(name)
    if words is not None and 0 <= value < len(words):
        return f"{name}={words[value]}"
    return name if len(known) == 1 and value == 1 else f"{name}={value}"


def _build(options: AttributesOptions, given: Given) -> Assignment:
    known = attributes_of(given.split, options.file, options.reading, options.columns)
    made = attributes(
        known.described,
        top_k=options.top_k,
        columns=options.columns,
        min_size=options.min_size,
        rare=options.rare,
    )
    return known.spread(made).noted(known.notes)


ATTRIBUTES = Positives(
    name="attributes",
    summary="images that share the values of the attributes of highest entropy",
    paper="CI-InfoNCE, Tsai et al. 2021, section 3.1",
    options=AttributesOptions,
    build=_build,
    needs=("attributes",),
    bare="file",
    paths=("file",),
    instead=(("top_k", "columns"),),
)
