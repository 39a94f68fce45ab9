"""torchvision's data sets by name, as they lie under ``data.root``; downloaded only if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.file_splits import read_file_splits
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.arrays import ArraySplit, build_split, tensor_blocks
from viewfinder.data.stored import ArrayData

DEFAULT_ROOT = Path("data")


@dataclass(frozen=True)
class TorchvisionSet:
    """A class of torchvision.datasets, the arguments that give each split, and its place."""

    factory: str
    splits: Mapping[str, Mapping[str, Any]]
    place: str


_TRAIN = {"train": {"train": True}, "test": {"train": False}}
_SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {**_SPLIT, "val": {"split": "val"}}

SETS: Mapping[str, TorchvisionSet] = {
    "cifar10": TorchvisionSet("CIFAR10", _TRAIN, "cifar-10-batches-py"),
    "cifar100": TorchvisionSet("CIFAR100", _TRAIN, "cifar-100-python"),
    "mnist": TorchvisionSet("MNIST", _TRAIN, "MNIST/raw"),
    "fashion-mnist": TorchvisionSet("FashionMNIST", _TRAIN, "FashionMNIST/raw"),
    "kmnist": TorchvisionSet("KMNIST", _TRAIN, "KMNIST/raw"),
    "usps": TorchvisionSet("USPS", _TRAIN, "usps.bz2"),
    "svhn": TorchvisionSet("SVHN", _SPLIT, "train_32x32.mat"),
    "stl10": TorchvisionSet("STL10", _SPLIT, "stl10_binary"),
    "eurosat": TorchvisionSet("EuroSAT", {"train": {}}, "eurosat/2750"),
    "flowers102": TorchvisionSet("Flowers102", _THREE, "flowers-102"),
    "dtd": TorchvisionSet("DTD", _THREE, "dtd/dtd"),
    "food101": TorchvisionSet("Food101", _SPLIT, "food-101"),
    "aircraft": TorchvisionSet("FGVCAircraft", _THREE, "fgvc-aircraft-2013b"),
    "pets": TorchvisionSet(
        "OxfordIIITPet",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        "oxford-iiit-pet",
    ),
    "imagenette": TorchvisionSet(
        "Imagenette", {"train": {"split": "train"}, "val": {"split": "val"}}, "imagenette2"
    ),
}


def read_torchvision(name: str, options: ReadOptions) -> Source:
    """Read one of ``SETS``; UserError saying where it must lie if it does not."""
    root = (options.root or DEFAULT_ROOT).expanduser()
    if name == "stl10":
        return _read_stl10(root, options)
    sets = {split: _open(name, split, root, options.download) for split in SETS[name].splits}
    if all(hasattr(data, "data") for data in sets.values()):
        splits: dict[str, Split] = {}
        notes: list[str] = []
        for split, data in sets.items():
            splits[split], more = build_split(split, _array_split(data), options)
            notes += more
        return Source(name, splits, notes)
    labels = {split: np.asarray(_file_labels(data)) for split, data in sets.items()}
    paths = {split: _file_paths(data, root) for split, data in sets.items()}
    read = read_file_splits(root, paths, labels, _class_names(sets["train"]), options)
    if "train" not in read.splits:
        raise UserError(f"{name} in {root} holds no readable image")
    return Source(name, read.splits, read.notes, read.unreadable)


def _open(name: str, split: str, root: Path, download: bool) -> Any:
    from torchvision import datasets

    entry = SETS[name]
    factory, arguments = getattr(datasets, entry.factory), dict(entry.splits[split])
    try:
        return factory(root=str(root), download=download, **arguments)
    except (RuntimeError, OSError, ValueError, AssertionError, EOFError) as error:
        if download:
            raise UserError(
                f"{name} could not be downloaded to {root}: {error}",
                fix=f"put it there by hand, as {root / entry.place}",
            ) from None
        if not (root / entry.place).exists():
            raise _missing(name, root) from None
        raise UserError(
            f"{name} in {root / entry.place} is incomplete or damaged: {error}",
            fix="remove it, then data.download=true",
        ) from None


def _missing(name: str, root: Path) -> UserError:
    return UserError(
        f"{name} is not in {root}: {root / SETS[name].place} is expected",
        fix=f"data.download=true, or data.root=FOLDER that holds {SETS[name].place}",
    )


def _class_names(data: Any) -> list[str] | None:
    """torchvision's class names; Imagenette has a tuple of synonyms for each."""
    names = getattr(data, "classes", None)
    if names is None:
        return None
    return [name if isinstance(name, str) else ", ".join(name) for name in names]


def _array_split(data: Any) -> ArraySplit:
    images = torch.as_tensor(data.data)
    if images.ndim == 3:
        images = images.unsqueeze(1)
    elif images.shape[1] != 3:
        images = images.permute(0, 3, 1, 2)
    labels = np.asarray(data.targets if hasattr(data, "targets") else data.labels, dtype=np.int64)
    _, channels, height, width = images.shape
    return ArraySplit(
        len(images),
        (channels, height, width),
        tensor_blocks(images),
        labels=labels,
        class_names=_class_names(data),
    )


def _file_paths(data: Any, root: Path) -> list[str]:
    for attribute in ("_image_files", "_images"):
        if hasattr(data, attribute):
            paths = getattr(data, attribute)
            break
    else:
        paths = [path for path, _ in getattr(data, "samples", None) or data._samples]
    return [Path(path).relative_to(root).as_posix() for path in paths]


def _file_labels(data: Any) -> list[int]:
    if hasattr(data, "_labels"):
        return list(data._labels)
    return [label for _, label in getattr(data, "samples", None) or data._samples]


def _read_stl10(root: Path, options: ReadOptions) -> Source:
    """STL-10 read here: torchvision would load and check 2.7 GB of unlabelled images each time.

    Splits "train" (5,000 labelled), "test" (8,000) and "unlabeled" (100,000, mapped from the file
    where it is taken whole and unconverted).
    """
    folder = root / SETS["stl10"].place
    if options.download and not folder.exists():
        _open("stl10", "test", root, download=True)
    if not folder.exists():
        raise _missing("stl10", root)
    names_file = folder / "class_names.txt"
    names = names_file.read_text().split() if names_file.exists() else None
    splits: dict[str, Split] = {}
    notes: list[str] = []
    for name in ("train", "test", "unlabeled"):
        images = _stl10_images(folder / f"{name}_X.bin")
        labels = None
        if name != "unlabeled":
            labels = _stl10_labels(folder / f"{name}_y.bin", len(images))
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


def _stl10_images(path: Path) -> Tensor:
    """uint8 (N, 3, 96, 96), mapped; the file holds each image's columns one after another."""
    if not path.exists():
        raise UserError(
            f"there is no file {path}", fix="remove its folder, then data.download=true"
        )
    if path.stat().st_size == 0 or path.stat().st_size % (3 * 96 * 96):
        raise UserError(f"{path} is truncated", fix="remove its folder, then data.download=true")
    pixels = np.memmap(path, dtype=np.uint8, mode="c").reshape(-1, 3, 96, 96)
    return torch.from_numpy(pixels).transpose(2, 3)


def _stl10_labels(path: Path, count: int) -> np.ndarray:
    if not path.exists() or path.stat().st_size != count:
        raise UserError(
            f"{path} is missing or does not hold {count} labels",
            fix="remove its folder, then data.download=true",
        )
    return np.fromfile(path, dtype=np.uint8).astype(np.int64) - 1
