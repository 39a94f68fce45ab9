"""``viewfinder data``: what is in a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from viewfinder.data import describe as facts
from viewfinder.data.sources.table import open_source
from viewfinder.recipes.recipe import build
from viewfinder.runs.opening import only


def describe(source: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Counts, sizes, classes, attributes and unreadable files of a source, as plain data.

    overrides  of data.*, nested: {"data": {"limit": 300}}
    """
    given = only(overrides or {}, ("data",)).get("data", {})
    part = build("simclr", {"data": {**given, "source": source}}).data
    return facts.describe(open_source(part.source, **part.options()))
