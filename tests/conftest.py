"""Shared by all tests; that it lies here makes ``golden`` importable as a package."""

from __future__ import annotations

import os

from hypothesis import settings

# The test command repeats itself: a failure is a fault of the change, not of the draw. With
# HYPOTHESIS_PROFILE=random the examples are drawn anew at each call, to look for more.
settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
