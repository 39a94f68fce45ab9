"""Proposals: where the vectors come from that a positive is contrasted against."""

from __future__ import annotations

from viewfinder.negatives.contract import Negatives, Proposal
from viewfinder.negatives.queue import Queue

__all__ = ["Negatives", "Proposal", "Queue"]
