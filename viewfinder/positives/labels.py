"""Positives: images of the same class."""

from __future__ import annotations

from viewfinder.core.counted import counted
from viewfinder.core.table import Options
from viewfinder.positives.assignment import Assignment, dense, each_other_its_own
from viewfinder.positives.contract import Given, Positives


def _build(options: Options, given: Given) -> Assignment:
    assert given.split.labels is not None  # the row needs them
    known = given.split.labels >= 0
    made = each_other_its_own(Assignment(dense(given.split.labels[known])), known)
    alone = int((~known).sum())
    return made.noted(
        [f"{counted(alone, 'image')} without a label: each is its own"] if alone else ()
    )


LABELS = Positives(
    name="labels",
    summary="images of the same class",
    paper="SupCon, Khosla et al. 2020",
    build=_build,
    needs=("labels",),
)
