"""The probes under the name that they have in ``vf.probes``: ``from viewfinder.probes import knn``.

They are those of ``viewfinder.evaluation.probes``, the layer of the house in which they live.
"""

from __future__ import annotations

from viewfinder.evaluation.probes import knn, linear, ridge
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.scores import RegressionScore, Score

__all__ = [
    "RegressionScore",
    "Score",
    "evaluate_features",
    "knn",
    "linear",
    "regress_features",
    "ridge",
]


def __dir__() -> list[str]:
    return __all__
