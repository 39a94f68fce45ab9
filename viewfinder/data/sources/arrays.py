"""Readers of images that are arrays: npz files and scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.files import path_of
from viewfinder.data.convert import USUAL_CHANNELS, channel_note
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.labels import checked_attributes, checked_labels, encode
from viewfinder.data.sidecars.read import label_column, unlabelled
from viewfinder.data.source import Attributes, Source, Split
from viewfinder.data.sources.npz import (
    NpzFile,
    StoredFactors,
    factor_keys,
    image_blocks,
    image_shape,
)
from viewfinder.data.splits import (
    SelectedFactors,
    canonical_split,
    limited_rows,
    select_attributes,
)
from viewfinder.data.stored import collect


@dataclass(frozen=True)
class ArraySplit:
    """All that is known of a split before its pixels are read.

    ``blocks(rows)`` gives the images at ascending int64 ``rows`` as uint8 blocks (n, C, H, W).
    """

    count: int
    shape: tuple[int, int, int]
    blocks: Callable[[np.ndarray], Iterable[Tensor]]
    labels: np.ndarray | None = None
    class_names: Sequence[str] | None = None
    attributes: Attributes | None = None
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)


def tensor_blocks(images: Tensor) -> Callable[[np.ndarray], Iterable[Tensor]]:
    """``ArraySplit.blocks`` of a uint8 tensor (N, C, H, W) that is in memory or mapped."""

    def blocks(rows: np.ndarray) -> Iterable[Tensor]:
        for start in range(0, len(rows), 1024):
            yield images[torch.from_numpy(rows[start : start + 1024])]

    return blocks


def build_split(name: str, data: ArraySplit, options: ReadOptions) -> tuple[Split, list[str]]:
    """Read what the options leave of a split, converted as they say; and notes."""
    rows, limit = limited_rows(data.count, data.labels, name, options)
    channels = channel_note(data.shape[0], options.channels, name)
    split = Split(
        name,
        collect(data.blocks(rows), len(rows), data.shape, options.channels, options.size),
        labels=None if data.labels is None else data.labels[rows],
        class_names=data.class_names,
        strict=options.strict,
        attributes=select_attributes(data.attributes, rows),
        factors=data.factors if len(rows) == data.count else SelectedFactors(data.factors, rows),
    )
    return split, [note for note in (limit, channels, _size_note(name, data, options)) if note]


def _size_note(name: str, data: ArraySplit, options: ReadOptions) -> str | None:
    _, height, width = data.shape
    size = options.size
    if size is None or (height, width) == (size, size):
        return None
    verb = "enlarged" if size > min(height, width) else "reduced"
    stored = "" if height == width else "; crops are drawn in their own proportions"
    return f"{name}: images of {height}x{width} were {verb} to {size}x{size}{stored}"


def read_digits(options: ReadOptions) -> Source:
    """scikit-learn's 1,797 handwritten digits, real, 8x8, one channel, values 0..16 to 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = torch.from_numpy(pixels).unsqueeze(1)
    data = ArraySplit(
        len(images),
        (1, 8, 8),
        tensor_blocks(images),
        labels=digits.target.astype(np.int64),
        class_names=[str(name) for name in digits.target_names],
    )
    split, notes = build_split("train", data, options)
    return Source("digits", {"train": split}, notes)


def read_npz(argument: str, options: ReadOptions) -> Source:
    """Read ``npz:argument``, a file or a folder, as viewfinder.data.sources.npz describes."""
    files = {name: NpzFile(path) for name, path in npz_files(argument).items()}
    counts = {name: image_shape(file) for name, file in files.items()}
    if len({shape for _, shape in counts.values()}) > 1 and options.size is None:
        shapes = ", ".join(f"{name} {shape}" for name, (_, shape) in counts.items())
        raise UserError(f"npz:{argument}: the splits differ in (C, H, W): {shapes}")
    labels, class_names, notes = _labels(files, counts, options)
    splits = {}
    for name, file in files.items():
        count, shape = counts[name]
        data = ArraySplit(
            count,
            shape,
            partial(image_blocks, file),
            labels=labels.get(name),
            class_names=class_names if name in labels else None,
            attributes=_attributes(file, count),
            factors=StoredFactors(file, factor_keys(file, count)),
        )
        splits[name], more = build_split(name, data, options)
        notes += more
    channels = counts["train"][1][0]
    if channels not in USUAL_CHANNELS:
        notes.append(f"images have {channels} channels: the last axis of the array")
    return Source(f"npz:{argument}", splits, notes)


def npz_files(argument: str) -> dict[str, Path]:
    """The file of each split of a path."""
    path = path_of(argument)
    if not argument or not path.exists():
        raise UserError(
            f"there is no file or folder {argument!r}", fix="npz:PATH, holding images and labels"
        )
    if path.is_file():
        return {"train": path}
    found = sorted(file for file in path.glob("*.npz") if not file.name.startswith("."))
    if len(found) == 1:
        return {"train": found[0]}
    splits: dict[str, Path] = {}
    for file in found:
        name = canonical_split(file.stem)
        if name in splits:
            raise UserError(f"{file} and {splits[name]} are both the {name} split; keep one")
        if name:
            splits[name] = file
    if "train" not in splits:
        held = ", ".join(file.name for file in found) or "no npz file"
        raise UserError(
            f"{path} has no train.npz; it holds {held}",
            fix="train.npz with test.npz or val.npz, or npz:FILE for one file",
        )
    return dict(sorted(splits.items(), key=lambda item: item[0] != "train"))


def _labels(
    files: Mapping[str, NpzFile],
    counts: Mapping[str, tuple[int, tuple[int, int, int]]],
    options: ReadOptions,
) -> tuple[dict[str, np.ndarray], list[str] | None, list[str]]:
    """Class numbers of every labelled split, class names, notes."""
    if options.labels is not None:
        lengths = {name: count for name, (count, _) in counts.items() if name != "unlabeled"}
        column, notes = label_column(options.labels, lengths, options.strict, options.label_column)
        coded, class_names, more = encode(column, where=str(options.labels))
        lost = unlabelled(
            options.labels, [(coded[name], range(lengths[name])) for name in coded], options.strict
        )
        return coded, class_names, [*notes, *more, *lost]
    found = {
        name: checked_labels(file.load("labels"), counts[name][0], f"{file.path}: labels")
        for name, file in files.items()
        if "labels" in file.headers and name != "unlabeled"
    }
    if not found:
        return {}, None, []
    names = {name: _class_names(files[name]) for name in found}
    if len({None if value is None else tuple(value) for value in names.values()}) > 1:
        places = " and ".join(str(files[name].path) for name in names)
        raise UserError(f"{places} differ in class_names; the same list in each is expected")
    first = next(iter(found))
    return encode(found, names[first], f"{files[first].path}: labels")


def _class_names(file: NpzFile) -> list[str] | None:
    if "class_names" not in file.headers:
        return None
    return _names(file, "class_names")


def _names(file: NpzFile, key: str) -> list[str]:
    names = file.load(key)
    if names.ndim != 1:
        raise UserError(f"{file.path}: {key} has the shape {names.shape}; a plain list is expected")
    if names.dtype.kind == "S":
        return [name.decode("utf-8", "replace") for name in names.tolist()]
    return [str(name) for name in names.tolist()]


def _attributes(file: NpzFile, count: int) -> Attributes | None:
    if "attributes" not in file.headers:
        return None
    values = checked_attributes(file.load("attributes"), count, f"{file.path}: attributes")
    width = values.shape[1]
    names = [f"attribute_{i}" for i in range(width)]
    if "attribute_names" in file.headers:
        names = _names(file, "attribute_names")
    if len(names) != width or len(set(names)) != width:
        raise UserError(
            f"{file.path}: attribute_names holds {len(names)} names ({len(set(names))} different) "
            f"for {width} attributes"
        )
    value_names = {
        name: _names(file, f"{name}_names") for name in names if f"{name}_names" in file.headers
    }
    for column, name in enumerate(names):
        if name in value_names and values[:, column].max() >= len(value_names[name]):
            raise UserError(
                f"{file.path}: attribute {name} goes up to {values[:, column].max()}, but "
                f"{name}_names holds {len(value_names[name])} names"
            )
    return Attributes(values, names, value_names)
