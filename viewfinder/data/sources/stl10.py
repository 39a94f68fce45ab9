"""STL-10, whose 100,000 unlabelled images are mapped from their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.arrays import ArraySplit, build_split, tensor_blocks
from viewfinder.data.sources.torchvision_sets import TorchvisionSet, missing, opened, root_of
from viewfinder.data.stored import ArrayData

STL10 = TorchvisionSet(
    "STL10", {"train": {"split": "train"}, "test": {"split": "test"}}, "stl10_binary"
)


def read_stl10(options: ReadOptions) -> Source:
    """STL-10, without torchvision: it would load and check 2.7 GB of unlabelled images each time.

    Splits "train" (5,000 labelled), "test" (8,000) and "unlabeled" (100,000, mapped from the file
    where it is taken whole and unconverted).
    """
    root = root_of(options)
    folder = root / STL10.place
    if options.download and not folder.exists():
        opened("stl10", STL10, "test", root, download=True)
    if not folder.exists():
        raise missing("stl10", STL10, root)
    names_file = folder / "class_names.txt"
    names = file_of(names_file).read_text().split() if names_file.exists() else None
    splits: dict[str, Split] = {}
    notes: list[str] = []
    for name in ("train", "test", "unlabeled"):
        images = _images(folder / f"{name}_X.bin")
        labels = None
        if name != "unlabeled":
            labels = _labels(folder / f"{name}_y.bin", len(images))
        if labels is None and not (options.limit or options.size or options.channels):
            splits[name] = Split(name, ArrayData(images))
            continue
        data = ArraySplit(
            len(images),
            (3, 96, 96),
            tensor_blocks(images),
            labels=labels,
            class_names=None if labels is None else names,
        )
        splits[name], more = build_split(name, data, options)
        notes += more
    return Source("stl10", splits, notes)


def _images(path: Path) -> Tensor:
    """uint8 (N, 3, 96, 96), mapped; the file holds each image's columns one after another."""
    if not path.is_file():
        raise UserError(
            f"there is no file {path}", fix="remove its folder, then data.download=true"
        )
    if path.stat().st_size == 0 or path.stat().st_size % (3 * 96 * 96):
        raise UserError(f"{path} is truncated", fix="remove its folder, then data.download=true")
    pixels = np.memmap(path, dtype=np.uint8, mode="c").reshape(-1, 3, 96, 96)
    return torch.from_numpy(pixels).transpose(2, 3)


def _labels(path: Path, count: int) -> np.ndarray:
    if not path.is_file() or path.stat().st_size != count:
        raise UserError(
            f"{path} is missing or does not hold {count} labels",
            fix="remove its folder, then data.download=true",
        )
    return np.fromfile(path, dtype=np.uint8).astype(np.int64) - 1
