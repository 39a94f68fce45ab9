"""Losses as plain functions of tensors, thin modules around them, and the table of objectives."""

from __future__ import annotations

from viewfinder.objectives.barlow_twins import barlow_twins
from viewfinder.objectives.carl import CARL, carl, kl_to_uniform
from viewfinder.objectives.ci_infonce import (
    ci_infonce,
    draw_partners,
)
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.cosine import byol_regression, cosine, negative_cosine
from viewfinder.objectives.cpc import cpc
from viewfinder.objectives.cross_entropy import cross_entropy
from viewfinder.objectives.deep_info_max import deep_info_max
from viewfinder.objectives.dino import DINO, dino, moved_center
from viewfinder.objectives.info_nce import (
    info_nce,
    info_nce_from_scores,
    info_nce_with_negatives,
)
from viewfinder.objectives.local_aggregation import local_aggregation
from viewfinder.objectives.modules import (
    BarlowTwins,
    CIInfoNCE,
    Cosine,
    DeepInfoMax,
    InfoNCE,
    NTXent,
    SupCon,
    VICReg,
)
from viewfinder.objectives.multilabel import tag_overlap
from viewfinder.objectives.nce import NCE, log_normaliser, nce
from viewfinder.objectives.nt_xent import nt_xent
from viewfinder.objectives.pcl import (
    Prototypes,
    concentration,
    pcl,
    proto_nce,
)
from viewfinder.objectives.sinkhorn import sinkhorn
from viewfinder.objectives.supcon import supcon
from viewfinder.objectives.swav import SwAV, swav
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.objectives.vicreg import vicreg
from viewfinder.objectives.vince_plus import vince_plus

__all__ = [
    "CARL",
    "DINO",
    "NCE",
    "OBJECTIVES",
    "BarlowTwins",
    "CIInfoNCE",
    "Cosine",
    "DeepInfoMax",
    "InfoNCE",
    "Inputs",
    "NTXent",
    "Objective",
    "Options",
    "Prototypes",
    "SupCon",
    "SwAV",
    "VICReg",
    "barlow_twins",
    "byol_regression",
    "carl",
    "ci_infonce",
    "concentration",
    "cosine",
    "cpc",
    "cross_entropy",
    "deep_info_max",
    "dino",
    "draw_partners",
    "info_nce",
    "info_nce_from_scores",
    "info_nce_with_negatives",
    "kl_to_uniform",
    "local_aggregation",
    "log_normaliser",
    "moved_center",
    "nce",
    "negative_cosine",
    "nt_xent",
    "pcl",
    "proto_nce",
    "sinkhorn",
    "supcon",
    "swav",
    "tag_overlap",
    "vicreg",
    "vince_plus",
]


def __dir__() -> list[str]:
    return __all__
