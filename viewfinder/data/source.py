"""What a data source is: named splits of data with whatever is known about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from viewfinder.data.domain import Modality


class Data(Protocol):
    """Data at rest, in memory or in files; all of one split have one shape when read.

    Images that had other shapes before may have ``sides`` too: see ``sides_of``; data that were
    composed of layers ``layers``: see ``layers_of``.
    """

    @property
    def modality(self) -> Modality: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of everything that ``read`` returns, without the first dimension: (C, H, W) of images."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: np.ndarray) -> Tensor:
        """What lies at int64 positions ``index`` (n,), on the CPU.

        Images as uint8 (n, C, H, W), points as float32 (n, D), tokens as int64 (n, T), clips as
        uint8 (n, T, C, H, W).
        """
        ...


def sides_of(data: Data, index: np.ndarray | slice = slice(None)) -> Tensor | None:
    """Height and width that images had before they were read at one shape: int32 (n, 2), of those
    at int64 positions ``index``. None: that of all is the shape they are read at, or is like it.

    Images are made square whole, so this alone tells how they were stretched.
    """
    sides: Tensor | None = getattr(data, "sides", None)
    if sides is None:
        return None
    return sides[index if isinstance(index, slice) else torch.from_numpy(np.asarray(index))]


def layers_of(data: Data, index: np.ndarray) -> dict[str, Tensor]:
    """What the data at int64 positions ``index`` (n,) are composed of, by the name of the factor:
    of each (n, 2, ...), their own, and another that was drawn independently. Nothing where that is
    not known: of data without a method ``layers``."""
    layers = getattr(data, "layers", None)
    found: dict[str, Tensor] = {} if layers is None else layers(np.asarray(index))
    return found


def words_of(data: Data) -> tuple[str, ...]:
    """The vocabulary of tokens, word i at i; () of other data."""
    words: tuple[str, ...] = getattr(data, "words", ())
    return words


@dataclass(frozen=True)
class Attributes:
    """Side information, one row per image: values int64 (N, A), -1 where missing.

    names[a] names column a; value_names[a][v] says value v of column a in words, where known.
    """

    values: np.ndarray
    names: Sequence[str]
    value_names: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """One split of a source.

    labels int64 (N,), -1 where an image has none, or None; class_names one per class; paths one
    per image, relative to the source, where images are files, and ``listed`` those of all files of
    the source, of other splits and left out ones too; strict: a table that says nothing of an
    image is refused; factors: exact knowledge of further facts, each array with N rows
    (``shapes``: box, mask_area, position, rotation, ...).
    """

    name: str
    data: Data
    labels: np.ndarray | None = None
    class_names: Sequence[str] | None = None
    attributes: Attributes | None = None
    paths: Sequence[str] | None = None
    listed: Collection[str] = ()
    strict: bool = False
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Source:
    """All splits of one spec string, what had to be decided while reading, and what was unreadable.

    ``splits`` has "train"; "test" where the source has one or where labels allow a held-out part;
    other names (stl10's "unlabeled") as they come. ``notes`` are sentences for the user
    ("no test split: 500 images, a stratified fifth, were held out with seed 0"). ``held_out``:
    "test" is such a part of train, not one of the source's own.
    """

    spec: str
    splits: Mapping[str, Split]
    notes: Sequence[str] = ()
    unreadable: Sequence[tuple[Path, str]] = ()
    held_out: bool = False

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def test(self) -> Split | None:
        return self.splits.get("test")
