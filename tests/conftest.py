"""Shared by all tests; that it lies here makes ``golden`` importable as a package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The test command repeats itself: a failure is a fault of the change, not of the draw. With
# HYPOTHESIS_PROFILE=random the examples are drawn anew at each call, to look for more.
settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows that a test adds, and modules it loads as plug-ins, are gone after it."""
    import sys

    from viewfinder.core import plugins, table

    before = {id(one): (one, dict(one._rows)) for one in table._TABLES}
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    for one, rows in before.values():
        one._rows.clear()
        one._rows.update(rows)
