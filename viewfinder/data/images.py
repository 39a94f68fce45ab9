"""Images at rest: in one tensor, as a selection of others, or converted while read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from viewfinder.data.convert import convert, converted_shape
from viewfinder.data.source import Images


@dataclass(frozen=True)
class ArrayImages:
    """Images in one uint8 tensor (N, C, H, W); reading copies rows into a fresh tensor.

    >>> ArrayImages(torch.zeros(5, 3, 8, 8, dtype=torch.uint8)).read(np.array([4, 0])).shape
    torch.Size([2, 3, 8, 8])
    """

    tensor: Tensor

    def __post_init__(self) -> None:
        if self.tensor.dtype != torch.uint8 or self.tensor.ndim != 4:
            raise ValueError(
                "uint8 (N, C, H, W) is expected, "
                f"got {self.tensor.dtype} {tuple(self.tensor.shape)}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.tensor.shape
        return channels, height, width

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self, index: np.ndarray) -> Tensor:
        # numpy copies rows in one thread, as fast as torch's index_select with all cores for
        # itself, and without taking turns with the step where it has not
        return torch.from_numpy(self.tensor.numpy()[np.asarray(index)]).contiguous()


@dataclass(frozen=True)
class Subset:
    """The images at ``rows`` (int64) of another collection, without a copy of it."""

    images: Images
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.images.shape

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: np.ndarray) -> Tensor:
        return self.images.read(self.rows[np.asarray(index)])


@dataclass(frozen=True)
class JoinedImages:
    """Images of several splits of one shape, one after the other."""

    parts: Sequence[Images]

    def __post_init__(self) -> None:
        shapes = {part.shape for part in self.parts}
        if len(shapes) != 1:
            raise ValueError(f"images of one shape can be joined, not of {sorted(shapes)}")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.parts[0].shape

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def read(self, index: np.ndarray) -> Tensor:
        out = torch.empty((len(index), *self.shape), dtype=torch.uint8)
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

    images: Images
    channels: int | None
    size: int | None

    @property
    def shape(self) -> tuple[int, int, int]:
        return converted_shape(self.images.shape, self.channels, self.size)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: np.ndarray) -> Tensor:
        return convert(self.images.read(index), self.channels, self.size).contiguous()


def collect(
    blocks: Iterable[Tensor],
    count: int,
    shape: tuple[int, int, int],
    channels: int | None = None,
    size: int | None = None,
) -> ArrayImages:
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
    return ArrayImages(out)
