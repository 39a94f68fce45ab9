"""Negatives: what a positive is contrasted against."""

from __future__ import annotations

from viewfinder.negatives.annulus import annulus
from viewfinder.negatives.ball import ball
from viewfinder.negatives.bank import Bank
from viewfinder.negatives.contract import Contrast, Negatives, NegativesRow, Proposal
from viewfinder.negatives.learned import Acceptance
from viewfinder.negatives.pool import Chosen, Pool
from viewfinder.negatives.queue import Queue
from viewfinder.negatives.table import NEGATIVES
from viewfinder.negatives.tempered import tempered
from viewfinder.negatives.threshold import threshold
from viewfinder.negatives.uniform import uniform

__all__ = [
    "NEGATIVES",
    "Acceptance",
    "Bank",
    "Chosen",
    "Contrast",
    "Negatives",
    "NegativesRow",
    "Pool",
    "Proposal",
    "Queue",
    "annulus",
    "ball",
    "tempered",
    "threshold",
    "uniform",
]


def __dir__() -> list[str]:
    return __all__
