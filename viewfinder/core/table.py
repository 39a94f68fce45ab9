"""Rows and tables: every part of a method is chosen by name from a table that anybody can extend.

A row is data: what it is called, what it is in a line, where it comes from, the options it takes,
and declared facts about what it takes and gives. Checks intersect facts, they do not list names;
the documentation, ``viewfinder methods`` and the tests of a table read the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, SupportsIndex, TypeVar

from pydantic import ConfigDict

from viewfinder.core.errors import UserError, unknown
from viewfinder.core.facts import check_facts
from viewfinder.core.validation import Strict


class Options(Strict):
    """The options of a row: typed, each with a default or required; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What all rows have; each table adds how its rows are built and what they declare.

    name     as it is written in a recipe
    summary  what it is, in a line without a full stop
    paper    author and year, and the equation or section where one says it; "" for our own
    options  class of its options
    bare     the option that ``name:VALUE`` sets, such as the file of ``file:z.parquet``
    paths    the options that are paths of files or folders
    instead  groups of options of which one takes the place of the others: one that is given
             replaces another that was only preset, and two that are given are refused

    Raises UserError for a fact that is not what its type says.
    """

    name: str
    summary: str
    paper: str = ""
    options: type[Options] = Options
    bare: str | None = None
    paths: tuple[str, ...] = ()
    instead: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        check_facts(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """A row of a table is pickled by its name: what it builds may be a lambda."""
        for table in _TABLES:
            if table.get(self.name) is self:
                return _row_of, (table.kind, self.name)
        return super().__reduce_ex__(protocol)


R = TypeVar("R", bound=Row)

LISTED = "`viewfinder methods` lists all, and the rows of each part"


def spelling(name: str) -> str:
    """How a name stands in a table: ``NT_Xent`` is nt-xent."""
    return name.lower().replace("_", "-")


class Table(Mapping[str, R], Generic[R]):
    """Rows by name, in the order they were added.

    >>> table = Table("fruit", [Row(name="apple", summary="round")])
    >>> table["aple"]  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownNameError: unknown fruit 'aple'. Did you mean 'apple'? Known: apple
    """

    def __init__(self, kind: str, rows: Iterable[R] = ()) -> None:
        self.kind = kind
        self._rows: dict[str, R] = {}
        _TABLES.append(self)
        for row in rows:
            self.add(row)

    def add(self, row: R) -> R:
        """Add a row; the same row may be added again, another of its name is refused."""
        if row.name != spelling(row.name):
            raise ValueError(f"{row.name!r}: names of rows are lower case with hyphens")
        known = self._rows.get(row.name)
        if known is not None and known != row:
            raise UserError(
                f"there is already a {self.kind} called {row.name!r}: {known.summary}",
                fix="another name",
            )
        self._rows[row.name] = row
        return row

    def remove(self, name: str) -> R:
        """Take a row out of the table; raises UserError where there is none of that name."""
        row = self.find(name)
        del self._rows[row.name]
        return row

    def __getitem__(self, name: str) -> R:
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and spelling(name) in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, name: object) -> R:
        """The row of that name; otherwise raises UserError, which is a KeyError too, with the
        nearest name."""
        if not isinstance(name, str) or spelling(name) not in self._rows:
            raise unknown(self.kind, name, self._rows, LISTED)
        return self._rows[spelling(name)]

    def parse(self, words: str) -> tuple[str, dict[str, Any]]:
        """Name and options of the short form ``name`` or ``name:VALUE``.

        Raises UserError for a name that is not known, and for a value where none is taken.
        """
        name, colon, value = words.partition(":")
        row = self.find(name)
        if not colon:
            return row.name, {}
        if row.bare is None or not value:
            raise UserError(f"{self.kind} {words}: {name} takes nothing behind a colon", fix=name)
        return row.name, {row.bare: value}


_TABLES: list[Table[Any]] = []
"""All tables, in the order they were made."""


def _row_of(kind: str, name: str) -> Row:
    """The row of a pickle; raises UserError where the plug-in that adds it is not loaded."""
    found: Row = next(table for table in _TABLES if table.kind == kind).find(name)
    return found
