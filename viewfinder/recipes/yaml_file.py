"""Reading YAML that somebody else wrote: no code, no bombs, and errors that fit a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from viewfinder.core.errors import UserError, brief

LARGEST = 2**20
"""Bytes of a file of keys, at most."""
MOST = 100_000
"""Values in it, at most, with those that an alias repeats."""
DEEPEST = 50


def read_mapping(file: Path) -> dict[str, Any]:
    """The mapping of keys that a YAML file holds.

    Raises UserError where there is no such file, where it is no YAML or no mapping of text to
    values, and where it is larger or deeper than any recipe, also by its aliases.
    """
    try:
        with file.open("rb") as handle:
            text = handle.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        content = yaml.safe_load(text)
        for count, (value, depth) in enumerate(_values(content)):
            if count > MOST or depth > DEEPEST:
                raise ValueError("it is larger or deeper than any recipe")
            if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
                raise ValueError(f"a key is no text: {brief(list(value), 80)}")
    except FileNotFoundError as error:
        raise UserError(f"there is no recipe file {file}") from error
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as YAML: {brief(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds {type(content).__name__}; a mapping of keys was expected")
    return content


def _values(content: Any) -> Iterator[tuple[Any, int]]:
    """Every value in nested data with its depth; those that occur twice are counted twice."""
    waiting = [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        inner = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, Mapping | list):
            waiting += [(one, depth + 1) for one in inner]
