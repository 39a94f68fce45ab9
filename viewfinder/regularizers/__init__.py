"""What is added to an objective, as plain functions, modules around them, and the table of them."""

from __future__ import annotations

from viewfinder.regularizers.contract import (
    EncoderPass,
    OneTermOptions,
    Regularizer,
    RegularizerOptions,
    Term,
)
from viewfinder.regularizers.ip import inverse_predictive
from viewfinder.regularizers.lbe import default_rho, lower_bound_estimate
from viewfinder.regularizers.modules import IP, LBE, RC
from viewfinder.regularizers.noise import add_noise
from viewfinder.regularizers.rc import reconstruction
from viewfinder.regularizers.regularization import Regularization
from viewfinder.regularizers.table import REGULARIZERS

__all__ = [
    "IP",
    "LBE",
    "RC",
    "REGULARIZERS",
    "EncoderPass",
    "OneTermOptions",
    "Regularization",
    "Regularizer",
    "RegularizerOptions",
    "Term",
    "add_noise",
    "default_rho",
    "inverse_predictive",
    "lower_bound_estimate",
    "reconstruction",
]


def __dir__() -> list[str]:
    return __all__
