"""Images in files: checked once, kept in memory if they fit, else decoded on each read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.console import progress
from viewfinder.core.errors import UserError
from viewfinder.data.decode import (
    Header,
    UnreadableImageError,
    decode,
    quiet_pillow,
    read_header,
)
from viewfinder.data.domain import Modality
from viewfinder.data.source import Data
from viewfinder.data.stored import ArrayData

MEMORY_LIMIT = 2**30  # bytes of decoded images that are kept
_BLOCK = 256  # files in flight, so that Ctrl-C need not wait for a million

Item = TypeVar("Item")
Result = TypeVar("Result")


def _workers() -> int:
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)


def _each(
    function: Callable[[Item], Result], items: Sequence[Item], label: str = ""
) -> list[Result | UnreadableImageError]:
    """``function`` of every item in threads; an unreadable image is a result, not an exception.

    With a ``label`` a bar shows how far it is.
    """

    def attempt(item: Item) -> Result | UnreadableImageError:
        try:
            return function(item)
        except UnreadableImageError as error:
            return error

    results: list[Result | UnreadableImageError] = []
    bar = progress(label, len(items)) if label else nullcontext(lambda steps: None)
    with ThreadPoolExecutor(_workers()) as pool, bar as advance:
        for start in range(0, len(items), _BLOCK):
            block = items[start : start + _BLOCK]
            results.extend(pool.map(attempt, block))
            advance(len(block))
    return results


def _refuse(path: Path, reason: object) -> UserError:
    return UserError(
        f"{path} is unreadable: {reason}",
        fix="mend or remove the file, or skip such files with data.strict=false",
    )


@dataclass(frozen=True)
class FileImages:
    """Images decoded from their files on each read, by a pool of threads.

    A file that was sound when the source was opened and cannot be decoded now gives a mid-grey
    image and a warning that names it; with ``strict`` a UserError.
    """

    paths: Sequence[Path]
    size: int
    channels: int
    strict: bool = False
    modality: Modality = "images"
    sides: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.channels, self.size, self.size

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: np.ndarray) -> Tensor:
        paths = [self.paths[i] for i in np.asarray(index)]
        out = np.empty((len(paths), self.size, self.size, self.channels), dtype=np.uint8)
        results = _each(lambda path: decode(path, self.size, self.channels), paths)
        for row, (path, result) in enumerate(zip(paths, results, strict=True)):
            if isinstance(result, UnreadableImageError):
                if self.strict:
                    raise _refuse(path, result)
                warnings.warn(f"{path} became unreadable: {result}; it is grey", stacklevel=2)
                out[row] = 127
            else:
                out[row] = result
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def fits_in_memory(count: int, channels: int, size: int) -> bool:
    """Whether so many decoded images are kept rather than decoded on each read."""
    return count * channels * size * size <= MEMORY_LIMIT


@dataclass(frozen=True)
class CheckedFiles:
    """Which of some files can be read: int64 rows, channels of each, height and width (n, 2) of
    each, and why the others cannot."""

    rows: np.ndarray
    channels: np.ndarray
    sides: np.ndarray
    unreadable: list[tuple[Path, str]]


def check_files(paths: Sequence[Path], strict: bool) -> CheckedFiles:
    """Look at every header; decode only files that seem cut off.

    With ``strict`` the first unreadable file is fatal.
    """
    with quiet_pillow():
        results = _each(_checked_header, paths, "looking at files")
    unreadable = [
        (path, str(result))
        for path, result in zip(paths, results, strict=True)
        if isinstance(result, UnreadableImageError)
    ]
    if strict and unreadable:
        raise _refuse(*unreadable[0])
    good = [(row, result) for row, result in enumerate(results) if isinstance(result, Header)]
    return CheckedFiles(
        np.array([row for row, _ in good], dtype=np.int64),
        np.array([header.channels for _, header in good], dtype=np.int64),
        np.array([(header.height, header.width) for _, header in good], np.int32).reshape(-1, 2),
        unreadable,
    )


def _checked_header(path: Path) -> Header:
    header = read_header(path)
    if not header.complete:
        decode(path, 8, header.channels)
    return header


def load_files(
    paths: Sequence[Path],
    size: int,
    channels: int,
    strict: bool,
    in_memory: bool,
    sides: np.ndarray | None = None,
) -> tuple[Data, np.ndarray, list[tuple[Path, str]]]:
    """The images of checked files, the rows that could be decoded, and the other files with reason.

    ``sides`` int32 (n, 2) are the heights and widths of files that are not all square. In memory,
    every file is decoded here, once; else each time it is read, and all rows stay.
    """
    were = None if sides is None else torch.from_numpy(sides)
    if not in_memory:
        files = FileImages(tuple(paths), size, channels, strict, sides=were)
        return files, np.arange(len(paths)), []
    tensor = torch.empty((len(paths), channels, size, size), dtype=torch.uint8)
    array = tensor.permute(0, 2, 3, 1).numpy()

    def fill(row: int) -> None:
        array[row] = decode(paths[row], size, channels)

    with quiet_pillow():
        results = _each(fill, range(len(paths)), "reading images")
    failed = [
        (paths[row], str(result))
        for row, result in enumerate(results)
        if isinstance(result, UnreadableImageError)
    ]
    if failed and strict:
        raise _refuse(*failed[0])
    if not failed:
        return ArrayData(tensor, sides=were), np.arange(len(paths)), []
    rows = np.array([row for row, result in enumerate(results) if result is None], dtype=np.int64)
    kept = torch.from_numpy(rows)
    return ArrayData(tensor[kept], sides=None if were is None else were[kept]), rows, failed
