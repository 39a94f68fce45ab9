"""torchvision's data sets by name, as they lie under ``data.root``; downloaded only if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, path_of
from viewfinder.data.decode import EXTENSIONS
from viewfinder.data.file_splits import read_file_splits
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.arrays import ArraySplit, build_split, tensor_blocks
from viewfinder.data.sources.folder_tree import system_devices

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
    root = root_of(options)
    entry = SETS[name]
    sets = {
        split: opened(name, entry, split, root, download=options.download) for split in entry.splits
    }
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


def root_of(options: ReadOptions) -> Path:
    """The folder below which all sets lie."""
    return path_of(options.root or DEFAULT_ROOT)


def opened(name: str, entry: TorchvisionSet, split: str, root: Path, *, download: bool) -> Any:
    """torchvision's data set; UserError where it is missing, damaged or cannot be fetched."""
    from torchvision import datasets

    _check_files(root / entry.place)
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
            raise missing(name, entry, root) from None
        raise UserError(
            f"{name} in {root / entry.place} is incomplete or damaged: {error}",
            fix="remove it, then data.download=true",
        ) from None


def _check_files(place: Path) -> None:
    """Raise UserError for a device among the files, or a link to the system's own folders:
    torchvision would read them without end."""
    system = system_devices()
    for path in [place, *place.rglob("*")]:
        if path.is_symlink() and path.exists() and path.stat().st_dev in system:
            raise UserError(f"{path} leads to {path.resolve()}, which is no place for images")
        if path.suffix.lower() not in EXTENSIONS and path.exists() and not path.is_dir():
            file_of(path)


def missing(name: str, entry: TorchvisionSet, root: Path) -> UserError:
    """The error for a set that is not where it must lie."""
    return UserError(
        f"{name} is not in {root}: {root / entry.place} is expected",
        fix=f"data.download=true, or data.root=FOLDER that holds {entry.place}",
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
