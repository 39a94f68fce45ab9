"""The table of negatives: name -> where they come from; each row stands beside its module."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.negatives.bank import BANK
from viewfinder.negatives.contract import Negatives, NegativesRow
from viewfinder.negatives.queue import QUEUE

NEGATIVES: Table[NegativesRow] = Table(
    "negatives",
    [
        NegativesRow(
            name="batch",
            summary="the other samples of the batch",
            build=lambda o, spec: Negatives(),
            kind="batch",
        ),
        QUEUE,
        BANK,
        NegativesRow(
            name="none",
            summary="no negatives",
            build=lambda o, spec: Negatives(),
            kind="none",
        ),
    ],
)
