"""Data at rest: in one tensor, as a selection of other data, or converted while read."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from viewfinder.data.convert import convert, converted_shape
from viewfinder.data.domain import AXES, DTYPES, Modality
from viewfinder.data.source import Data, layers_of, sides_of, words_of


@dataclass(frozen=True)
class ArrayData:
    """Data in one tensor: images uint8 (N, C, H, W), points float32 (N, D), tokens int64 (N, T) or
    clips uint8 (N, T, C, H, W). Reading copies rows into a fresh tensor.

    sides  int32 (N, 2) of images that had other shapes, see ``sides_of``
    words  the vocabulary of tokens, see ``words_of``

    >>> ArrayData(torch.zeros(5, 3, 8, 8, dtype=torch.uint8)).read(np.array([4, 0])).shape
    torch.Size([2, 3, 8, 8])
    >>> ArrayData(torch.zeros(5, 2), "points").shape
    (2,)
    """

    tensor: Tensor
    modality: Modality = "images"
    sides: Tensor | None = None
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        dtype, axes = DTYPES[self.modality], AXES[self.modality]
        if self.tensor.dtype != dtype or self.tensor.ndim != len(axes) + 1:
            kind = str(dtype).removeprefix("torch.")
            raise ValueError(
                f"{self.modality} are {kind} ({', '.join(('N', *axes))}), "
                f"got {self.tensor.dtype} {tuple(self.tensor.shape)}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape[1:])

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self, index: np.ndarray) -> Tensor:
        # numpy copies rows in one thread, as fast as torch's index_select with all cores for
        # itself, and without taking turns with the step where it has not
        return torch.from_numpy(self.tensor.numpy()[np.asarray(index)]).contiguous()


@dataclass(frozen=True)
class Subset:
    """The data at ``rows`` (int64) of another collection, without a copy of it."""

    whole: Data
    rows: np.ndarray

    @property
    def modality(self) -> Modality:
        return self.whole.modality

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    @property
    def words(self) -> tuple[str, ...]:
        return words_of(self.whole)

    @functools.cached_property
    def sides(self) -> Tensor | None:
        return sides_of(self.whole, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: np.ndarray) -> Tensor:
        return self.whole.read(self.rows[np.asarray(index)])

    def layers(self, index: np.ndarray) -> dict[str, Tensor]:
        return layers_of(self.whole, self.rows[np.asarray(index)])


@dataclass(frozen=True)
class JoinedData:
    """Data of several splits of one kind and shape, one after the other."""

    parts: Sequence[Data]

    def __post_init__(self) -> None:
        kinds = {(part.modality, part.shape) for part in self.parts}
        if len(kinds) != 1 or len({words_of(part) for part in self.parts}) != 1:
            raise ValueError(f"data of one kind and shape can be joined, not of {sorted(kinds)}")

    @property
    def modality(self) -> Modality:
        return self.parts[0].modality

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @property
    def words(self) -> tuple[str, ...]:
        return words_of(self.parts[0])

    @functools.cached_property
    def sides(self) -> Tensor | None:
        known = [sides_of(part) for part in self.parts]
        if all(sides is None for sides in known):
            return None
        as_read = torch.tensor(self.shape[1:], dtype=torch.int32)
        return torch.cat(
            [
                as_read.expand(len(part), 2) if sides is None else sides
                for part, sides in zip(self.parts, known, strict=True)
            ]
        )

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def read(self, index: np.ndarray) -> Tensor:
        out = torch.empty((len(index), *self.shape), dtype=DTYPES[self.modality])
        start = 0
        for part in self.parts:
            here = np.flatnonzero((index >= start) & (index < start + len(part)))
            if len(here):
                out[torch.from_numpy(here)] = part.read(index[here] - start)
            start += len(part)
        return out


@dataclass(frozen=True)
class ConvertedImages:
    """Another collection with ``convert`` applied to whatever is read."""

    images: Data
    channels: int | None
    size: int | None
    modality: Modality = "images"

    @property
    def shape(self) -> tuple[int, ...]:
        return converted_shape(self.images.shape, self.channels, self.size)

    @functools.cached_property
    def sides(self) -> Tensor | None:
        known = sides_of(self.images)
        return stretched(self.images.shape, self.size, len(self)) if known is None else known

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: np.ndarray) -> Tensor:
        return convert(self.images.read(index), self.channels, self.size).contiguous()


def collect(
    blocks: Iterable[Tensor],
    count: int,
    shape: tuple[int, ...],
    channels: int | None = None,
    size: int | None = None,
) -> ArrayData:
    """One tensor of ``count`` images from blocks uint8 (n, C, H, W) of images of one ``shape``.

    Converted block by block, so that beside the result only one block is held.
    """
    out = torch.empty((count, *converted_shape(shape, channels, size)), dtype=torch.uint8)
    start = 0
    for block in blocks:
        out[start : start + len(block)] = convert(block, channels, size)
        start += len(block)
    if start != count:
        raise ValueError(f"{count} images were announced and {start} came")
    return ArrayData(out, sides=stretched(shape, size, count))


def stretched(shape: tuple[int, ...], size: int | None, count: int) -> Tensor | None:
    """The ``sides`` of so many images (C, H, W) made square at ``size``; None where it keeps their
    proportions."""
    height, width = shape[1:]
    if size is None or height == width:
        return None
    return torch.tensor([height, width], dtype=torch.int32).expand(count, 2)
