"""The table of positives; each row stands in a file of its own, beside what it computes."""

from __future__ import annotations

from viewfinder.core.table import Table
from viewfinder.positives.attributes import ATTRIBUTES
from viewfinder.positives.contract import Positives
from viewfinder.positives.file import FILE
from viewfinder.positives.hierarchy import HIERARCHY
from viewfinder.positives.instance import INSTANCE
from viewfinder.positives.kmeans import KMEANS
from viewfinder.positives.labels import LABELS
from viewfinder.positives.synthetic import SYNTHETIC
from viewfinder.positives.tags import TAGS

POSITIVES: Table[Positives] = Table(
    "positives",
    (INSTANCE, LABELS, ATTRIBUTES, TAGS, HIERARCHY, KMEANS, FILE, SYNTHETIC),
)
