"""Losses as plain functions of tensors, thin modules around them, and the table of objectives."""

from __future__ import annotations

from viewfinder.objectives.barlow_twins import barlow_twins
from viewfinder.objectives.cosine import byol_regression, negative_cosine
from viewfinder.objectives.cross_entropy import cross_entropy
from viewfinder.objectives.info_nce import (
    info_nce,
    info_nce_from_scores,
    info_nce_with_negatives,
)
from viewfinder.objectives.modules import Cosine, InfoNCE, NTXent, SupCon
from viewfinder.objectives.nt_xent import nt_xent
from viewfinder.objectives.objective import Inputs, Objective, Options
from viewfinder.objectives.registry import OBJECTIVES, find
from viewfinder.objectives.supcon import supcon
from viewfinder.objectives.vicreg import vicreg

__all__ = [
    "OBJECTIVES",
    "Cosine",
    "InfoNCE",
    "Inputs",
    "NTXent",
    "Objective",
    "Options",
    "SupCon",
    "barlow_twins",
    "byol_regression",
    "cross_entropy",
    "find",
    "info_nce",
    "info_nce_from_scores",
    "info_nce_with_negatives",
    "negative_cosine",
    "nt_xent",
    "supcon",
    "vicreg",
]
