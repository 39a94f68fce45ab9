"""What is varied: a key of a recipe and its values, as they are written and as they are drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.core import plain_yaml
from viewfinder.core.errors import UserError, in_words

EXAMPLE = "vary=views.strength:0,0.5,1"


def parse(word: str) -> tuple[str, tuple[Any, ...]]:
    """Key and values of ``PATH:v1,v2,...``; the values are written as in ``PATH=value``.

    Raises UserError for other forms, for no value, and for one given twice.

    >>> parse("views.crop_scale:[0.1,1],[0.2,1]")
    ('views.crop_scale', ([0.1, 1], [0.2, 1]))
    """
    path, colon, text = word.partition(":")
    if not colon or not path or not text.strip():
        raise UserError(
            f"vary={word} is not of the form vary=PATH:v1,v2,...: a key of a recipe, and its "
            "values",
            fix=EXAMPLE,
        )
    try:
        values = plain_yaml.load(f"[{text}]")
    except UserError as error:
        raise UserError(
            f"the values of vary={path} cannot be read: {in_words(text)}: {error.message}",
            fix=EXAMPLE,
        ) from None
    assert isinstance(values, list)
    return path, checked(path, values)


def checked(path: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """The values, whole numbers without a point. Raises UserError for fewer than two, or a value
    given twice."""
    found = tuple(int(v) if isinstance(v, float) and v.is_integer() else v for v in values)
    texts = [told(value) for value in found]
    if len(found) < 2:
        raise UserError(
            f"vary={path} has {len(found)} value{'' if len(found) == 1 else 's'}; two are expected "
            "at least, and three before a curve can have a peak within",
            fix=EXAMPLE,
        )
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise UserError(f"vary={path} has the value {twice[0]} twice")
    return found


def told(value: Any) -> str:
    """A value in a word: for a table, an axis, and the identity of a point."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def slug(value: Any) -> str:
    """A value as a part of a file's name; other values have other names but by rare chance.

    >>> slug(0.5), slug([0.08, 1])
    ('0.5', '0.08-1-6c2e')
    """
    import hashlib

    text = told(value)
    safe = re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")[:40]
    if safe == text:
        return safe
    return f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def coordinates(values: Sequence[Any]) -> list[float] | None:
    """Where the values lie on an axis: the one number in which they differ; None: there is none.

    >>> coordinates([[0.08, 1], [0.2, 1]]), coordinates(["frequency:1", "frequency:2"])
    ([0.08, 0.2], [1.0, 2.0])
    >>> coordinates(["lab", "rgb"]) is None
    True
    """
    leaves = [dict(_leaves(value)) for value in values]
    if any(one.keys() != leaves[0].keys() for one in leaves):
        return None
    differing = [key for key in leaves[0] if len({told(one[key]) for one in leaves}) > 1]
    if len(differing) != 1:
        return None
    found = [one[differing[0]] for one in leaves]
    numbers = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
    return numbers if len(numbers) == len(found) else None


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{key}.{k}")]
    if isinstance(value, list | tuple):
        return [leaf for i, v in enumerate(value) for leaf in _leaves(v, f"{key}.{i}")]
    name, colon, number = value.partition(":") if isinstance(value, str) else ("", "", "")
    try:
        return [(f"{key}:{name}", float(number))] if colon else [(key, value)]
    except ValueError:
        return [(key, value)]
