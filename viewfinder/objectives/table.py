"""The table of objectives; each row stands by its loss."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.objectives.barlow_twins import BARLOW_TWINS_OBJECTIVE
from viewfinder.objectives.carl import CARL_OBJECTIVE
from viewfinder.objectives.ci_infonce import CI_INFONCE_OBJECTIVE
from viewfinder.objectives.contract import Objective
from viewfinder.objectives.cosine import COSINE_OBJECTIVE
from viewfinder.objectives.cpc import CPC_OBJECTIVE
from viewfinder.objectives.cross_entropy import CROSS_ENTROPY_OBJECTIVE
from viewfinder.objectives.deep_info_max import DIM_OBJECTIVE, LDIM_OBJECTIVE
from viewfinder.objectives.dino import DINO_OBJECTIVE
from viewfinder.objectives.info_nce import INFO_NCE_OBJECTIVE
from viewfinder.objectives.local_aggregation import LOCAL_AGGREGATION_OBJECTIVE
from viewfinder.objectives.nce import NCE_OBJECTIVE
from viewfinder.objectives.nt_xent import NT_XENT_OBJECTIVE
from viewfinder.objectives.pcl import PCL_OBJECTIVE
from viewfinder.objectives.supcon import SUPCON_OBJECTIVE
from viewfinder.objectives.swav import SWAV_OBJECTIVE
from viewfinder.objectives.vicreg import VICREG_OBJECTIVE
from viewfinder.objectives.vince_plus import VINCE_PLUS_OBJECTIVE

OBJECTIVES: Table[Objective] = Table(
    "objective",
    [
        NT_XENT_OBJECTIVE,
        INFO_NCE_OBJECTIVE,
        NCE_OBJECTIVE,
        LOCAL_AGGREGATION_OBJECTIVE,
        VINCE_PLUS_OBJECTIVE,
        SUPCON_OBJECTIVE,
        COSINE_OBJECTIVE,
        BARLOW_TWINS_OBJECTIVE,
        VICREG_OBJECTIVE,
        CROSS_ENTROPY_OBJECTIVE,
        CI_INFONCE_OBJECTIVE,
        CPC_OBJECTIVE,
        PCL_OBJECTIVE,
        SWAV_OBJECTIVE,
        CARL_OBJECTIVE,
        DINO_OBJECTIVE,
        DIM_OBJECTIVE,
        LDIM_OBJECTIVE,
    ],
)
