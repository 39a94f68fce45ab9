"""The table of negatives: name -> where they come from; each row stands beside its module."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.negatives.annulus import ANNULUS
from viewfinder.negatives.ball import BALL
from viewfinder.negatives.bank import BANK
from viewfinder.negatives.contract import Negatives, NegativesRow
from viewfinder.negatives.learned import LEARNED
from viewfinder.negatives.queue import QUEUE
from viewfinder.negatives.tempered import TEMPERED
from viewfinder.negatives.threshold import THRESHOLD
from viewfinder.negatives.uniform import UNIFORM
from viewfinder.negatives.vocabulary import VOCABULARY

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
        BALL,
        ANNULUS,
        THRESHOLD,
        TEMPERED,
        UNIFORM,
        LEARNED,
        VOCABULARY,
        NegativesRow(
            name="none",
            summary="no negatives",
            build=lambda o, spec: Negatives(),
            kind="none",
        ),
    ],
)
