"""How a source is to be read: the arguments of ``open_source`` in one checked value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from viewfinder.core.errors import UserError


@dataclass(frozen=True)
class ReadOptions:
    """What every reader is told, beside the part of the spec behind the colon.

    root       folder of torchvision's sets; None: ``./data``
    download   fetch a missing torchvision set
    strict     an unreadable image is fatal instead of skipped
    labels     CSV keyed by path or index, wins over labels the source has
    label_column  the column of ``labels`` that is the label
    channels   None keeps the source's; 1 and 3 convert into each other
    size       None keeps the source's (64 for ``folder:``); else side of the centre square, pixels
    limit      at most so many images a split, chosen by ``seed``, stratified where labelled
    seed       of the limited subset and of the held-out part
    """

    root: Path | None = None
    download: bool = False
    strict: bool = False
    labels: Path | None = None
    label_column: str = "label"
    channels: int | None = None
    size: int | None = None
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.labels is None and self.label_column != "label":
            raise UserError(
                f"data.label_column={self.label_column} is of a table of labels, and data.labels "
                "names none",
                fix=f"data.labels=FILE.csv data.label_column={self.label_column}",
            )
        if self.channels is not None and self.channels < 1:
            raise UserError(
                f"data.channels is {self.channels}; a number of channels is expected",
                fix="data.channels=1 or data.channels=3",
            )
        if self.size is not None and self.size < 1:
            raise UserError(
                f"data.size is {self.size}; a positive side in pixels is expected",
                fix="data.size=64",
            )
        if self.limit is not None and self.limit < 2:
            raise UserError(
                f"data.limit is {self.limit}; at least 2 images are needed", fix="data.limit=1000"
            )
