"""Positives: whatever a file says."""

from __future__ import annotations

from pydantic import Field

from viewfinder.core.table import Options
from viewfinder.positives.cluster_file import read_clusters
from viewfinder.positives.contract import Positives


class FileOptions(Options):
    file: str = Field(description="Parquet or CSV: index or path, and cluster")


FILE = Positives(
    name="file",
    summary="whatever a table of index (or path) and cluster says",
    options=FileOptions,
    build=lambda options, given: read_clusters(options.file, given.split),
    needs=("file",),
    bare="file",
    paths=("file",),
)
