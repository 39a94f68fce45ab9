"""Splits of image files: which are read, which can be, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.data.files import check_files, fits_in_memory, load_files
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Split
from viewfinder.data.splits import limited_rows

DEFAULT_SIZE = 64
LARGE_SIZE = 256  # of sets whose papers take views of 224 px: what evaluation resizes them to


@dataclass(frozen=True)
class FileSplits:
    """What was read of files: splits, the unreadable ones with reasons, sentences for the user."""

    splits: dict[str, Split]
    unreadable: list[tuple[Path, str]]
    notes: list[str]


@dataclass(frozen=True)
class _Part:
    """What is read of one split: its paths, all labels, the rows that are left of both, and once
    the files were checked their heights and widths (n, 2)."""

    name: str
    paths: list[str]
    labels: np.ndarray | None
    rows: np.ndarray
    sides: np.ndarray | None = None

    def chosen(self, root: Path) -> list[Path]:
        return [root / self.paths[row] for row in self.rows]


def read_file_splits(
    root: Path,
    paths: Mapping[str, list[str]],
    labels: Mapping[str, np.ndarray],
    class_names: Sequence[str] | None,
    options: ReadOptions,
) -> FileSplits:
    """Read each split's ``paths`` (relative to ``root``), with class numbers where it has them.

    The limit is applied first, then unreadable files are dropped; splits without a readable image
    are left out. UserError with ``options.strict`` and an unreadable file, or for other channels
    than 1 and 3.
    """
    if options.channels not in (None, 1, 3):
        raise UserError(
            f"data.channels is {options.channels}; image files give 1 (grey) or 3 (RGB)",
            fix="data.channels=3, or store other images as npz",
        )
    parts, limit_notes = _limited(paths, labels, options)
    parts, channels, checked, channel_notes = _checked(root, parts, options)
    splits, failed = _loaded(root, parts, channels, class_names, options)
    unreadable = sorted([*checked, *failed])
    notes = [*limit_notes, *channel_notes]
    if unreadable:
        notes.append(f"skipped: {counted(len(unreadable), 'unreadable file')}")
    return FileSplits(splits, unreadable, notes)


def _limited(
    paths: Mapping[str, list[str]], labels: Mapping[str, np.ndarray], options: ReadOptions
) -> tuple[list[_Part], list[str]]:
    parts, notes = [], []
    for name, files in paths.items():
        rows, note = limited_rows(len(files), labels.get(name), name, options)
        parts.append(_Part(name, files, labels.get(name), rows))
        notes += [note] if note else []
    return parts, notes


def _checked(
    root: Path, parts: Sequence[_Part], options: ReadOptions
) -> tuple[list[_Part], int, list[tuple[Path, str]], list[str]]:
    """The parts without unreadable files, the number of channels, those files, notes."""
    results = [check_files(part.chosen(root), options.strict) for part in parts]
    parts = [
        replace(part, rows=part.rows[result.rows], sides=result.sides)
        for part, result in zip(parts, results, strict=True)
    ]
    found = np.concatenate([result.channels for result in results])
    channels = options.channels or int(found.max(initial=1))
    unreadable = [item for result in results for item in result.unreadable]
    other = int((found != channels).sum())
    if not other:
        return parts, channels, unreadable, []
    became = "RGB and became luma" if channels == 1 else "grey and were repeated to 3 channels"
    return parts, channels, unreadable, [f"{other} of {len(found)} images were {became}"]


def _loaded(
    root: Path,
    parts: Sequence[_Part],
    channels: int,
    class_names: Sequence[str] | None,
    options: ReadOptions,
) -> tuple[dict[str, Split], list[tuple[Path, str]]]:
    size = options.size or DEFAULT_SIZE
    in_memory = fits_in_memory(sum(len(part.rows) for part in parts), channels, size)
    splits, unreadable = {}, []
    listed = frozenset(_printable(path) for part in parts for path in part.paths)
    for part in parts:
        sides = part.sides
        if sides is not None and (sides[:, 0] == sides[:, 1]).all():
            sides = None  # squares stay in proportion
        images, kept, failed = load_files(
            part.chosen(root), size, channels, options.strict, in_memory, sides
        )
        rows = part.rows[kept]
        unreadable += failed
        if len(rows) == 0:
            continue
        splits[part.name] = Split(
            part.name,
            images,
            labels=None if part.labels is None else part.labels[rows],
            class_names=None if part.labels is None else class_names,
            paths=[_printable(part.paths[row]) for row in rows],
            listed=listed,
            strict=options.strict,
            factors={"source_row": rows},
        )
    return splits, unreadable


def _printable(path: str) -> str:
    """File names need not be text; what is not becomes a question mark, so tables can hold it."""
    return path.encode("utf-8", "replace").decode("utf-8")
