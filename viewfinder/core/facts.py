"""Whether what a row declares can be what it is declared to be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from viewfinder.core.errors import UserError


def check_facts(row: Any) -> None:
    """Raise UserError where a field of a row, a dataclass, does not hold what its type says.

    A list of words may be empty only where it is so by default.
    """
    hints = _hints(type(row))
    for own in fields(row):
        value, hint = getattr(row, own.name), hints[own.name]
        empty = value == () and get_origin(hint) is tuple and own.default != ()
        if empty or not fits(value, hint):
            default = f"{own.name}={own.default!r}" if own.default is not MISSING else None
            shown = default if default and not callable(own.default) else None
            raise UserError(
                f"{row.name}: {own.name} is {value!r}; {described(hint)} is expected", fix=shown
            )
    for fact, names in (("paths", row.paths), ("instead", sum(row.instead, ()))):
        if not {*names} <= row.options.model_fields.keys():
            options = ", ".join(row.options.model_fields) or "it has none"
            raise UserError(
                f"{row.name}: {fact} is {getattr(row, fact)!r}; a tuple of its options is expected:"
                f" {options}"
            )


def check_count(row: Any, least: int, most: int | None) -> None:
    """Raise UserError for a least and greatest number of views that no recipe could meet."""
    if least < 1 or (most is not None and most < least):
        raise UserError(
            f"{row.name}: views is {(least, most)}; a least number from 1, and a greatest that is "
            "not below it or None, are expected",
            fix="views=(1, None)",
        )


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(row: type) -> dict[str, Any]:
    if row not in _HINTS:
        _HINTS[row] = get_type_hints(row)
    return _HINTS[row]


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type, as far as the types that rows use can be checked.

    >>> fits(("images",), tuple[Literal["images", "points"], ...]), fits("images", tuple[str, ...])
    (True, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(type(value) is type(word) and value == word for word in inner)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[1:] == (...,):
            return all(fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    if origin is type:
        return inspect.isclass(value) and issubclass(value, inner[0])
    if origin is Callable or hint is Callable:
        return callable(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    wanted = origin or hint
    return not inspect.isclass(wanted) or isinstance(value, wanted)


def described(hint: Any) -> str:
    """A type in words.

    >>> described(tuple[Literal["batch", "table"], ...])
    "a tuple of 'batch' or 'table'"
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " or ".join("None" if one is NoneType else described(one) for one in inner)
    if origin is tuple:
        several = f"a tuple of {described(inner[0])}"
        if inner[1:] == (...,):
            return several
        return f"a tuple of {', '.join(described(one) for one in inner)}"
    if origin is Callable:
        return "a function"
    if origin is type:
        return f"a class derived from {inner[0].__name__}"
    known = {bool: "True or False", int: "a whole number", str: "a text"}
    return known.get(hint, getattr(hint, "__name__", str(hint)))
