"""Data that every row of positives can be tried on, and options that fit them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from viewfinder.core.table import Options
from viewfinder.data.source import Attributes, Split
from viewfinder.data.stored import ArrayData
from viewfinder.positives.contract import Given, Kind, Positives

LACKING = {
    "labels": {"labels": None},
    "attributes": {"attributes": None},
    "classes": {"class_names": None},
}
"""For each need of the data the split's fields without which it is not met."""

OPTIONS: dict[str, dict[str, Any]] = {
    "attributes": {"top_k": 1},
    "kmeans": {"k": 2},
    "file": {"file": "z.csv"},
}
"""What rows need beyond their defaults; a row that is not named here must do with its own."""


def split(n: int) -> Split:
    """n images of two classes, with all that can be known of them."""
    labels = np.arange(n) % 2
    values = np.stack([labels, np.arange(n) % 3], axis=1)
    return Split(
        "train",
        ArrayData(torch.zeros(n, 1, 2, 2, dtype=torch.uint8)),
        labels,
        class_names=["Greek/alpha", "Latin/a"],
        attributes=Attributes(values, ["odd", "third"], {"third": ["x", "y", "z"]}),
    )


def options_of(row: Positives, folder: Path, n: int) -> Options:
    """Options of a row that fit n data; files they name are written into the folder."""
    given = OPTIONS.get(row.name, {})
    if "file" in row.needs:
        file = folder / given["file"]
        file.write_text("index,cluster\n" + "".join(f"{i},{i % 2}\n" for i in range(n)))
        given = {**given, "file": str(file)}
    return row.options(**given)


def given(n: int, kind: Kind, seed: int = 0) -> Given:
    """What a row is given of n data; their features lie in two groups."""
    features = np.random.default_rng(0).normal(size=(n, 5)) + 9 * (np.arange(n) % 2)[:, None]
    return Given(split(n), features.astype(np.float32), seed, kind)


def without(need: str, n: int) -> Split:
    """The split without what is needed."""
    return replace(split(n), **LACKING[need])  # type: ignore[arg-type]
