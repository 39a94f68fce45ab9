"""Shared by all tests; that it lies here makes ``golden`` importable as a package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Several processes of tests share the cores: one thread each, also for what they start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The test command repeats itself: a failure is a fault of the change, not of the draw. With
# HYPOTHESIS_PROFILE=random the examples are drawn anew at each call, to look for more.
settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def written_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote and imported is gone after it: the next may write its namesake."""
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        facts = getattr(sys.modules[name], "__dict__", {})
        if str(facts.get("__file__")).startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]


@pytest.fixture
def own_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows that a test adds, and that modules are loaded as plug-ins, are forgotten after it."""
    from viewfinder.core import plugins, table

    before = {id(one): (one, dict(one._rows)) for one in table._TABLES}
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for one, rows in before.values():
        one._rows.clear()
        one._rows.update(rows)
