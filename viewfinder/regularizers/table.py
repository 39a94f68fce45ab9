"""The table of regularizers: name -> what is added to the objective."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.regularizers.contract import Regularizer
from viewfinder.regularizers.ip import IP_REGULARIZER
from viewfinder.regularizers.lbe import LBE_REGULARIZER
from viewfinder.regularizers.mib import MIB_REGULARIZER
from viewfinder.regularizers.rc import RC_REGULARIZER

REGULARIZERS: Table[Regularizer] = Table(
    "regularizer", [RC_REGULARIZER, LBE_REGULARIZER, IP_REGULARIZER, MIB_REGULARIZER]
)
