"""Positives: images of the same class."""

from __future__ import annotations

from viewfinder.core.table import Options
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.contract import Given, Positives


def _build(options: Options, given: Given) -> Assignment:
    assert given.split.labels is not None  # the row needs them
    return Assignment(dense(given.split.labels))


LABELS = Positives(
    name="labels",
    summary="images of the same class",
    paper="SupCon, Khosla et al. 2020",
    build=_build,
    needs=("labels",),
)
