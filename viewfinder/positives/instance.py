"""Positives: an image and nothing else."""

from __future__ import annotations

from viewfinder.positives.assignment import Assignment
from viewfinder.positives.contract import Positives

INSTANCE = Positives(
    name="instance",
    summary="an image and nothing else",
    paper="SimCLR, Chen et al. 2020",
    build=lambda options, given: Assignment(),
    gives=("instance",),
)
