"""Negatives: what a positive is contrasted against."""

from __future__ import annotations

from viewfinder.negatives.bank import Bank
from viewfinder.negatives.contract import Contrast, Negatives, NegativesRow
from viewfinder.negatives.queue import Queue
from viewfinder.negatives.table import NEGATIVES

__all__ = ["NEGATIVES", "Bank", "Contrast", "Negatives", "NegativesRow", "Queue"]
