"""The table of probes: what ``evaluation.protocols`` and ``--protocol`` name."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.evaluation.probes.contract import ProbeRow
from viewfinder.evaluation.probes.linear_probe import LINEAR
from viewfinder.evaluation.probes.nearest_neighbours import KNN
from viewfinder.evaluation.probes.sgd import SGD_PROTOCOLS, sgd_row

PROBES: Table[ProbeRow] = Table(
    "protocol", [LINEAR, KNN, *(sgd_row(schedule) for schedule in SGD_PROTOCOLS.values())]
)
