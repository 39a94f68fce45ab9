"""``npz:PATH``: images as plain arrays, in one file or a folder of splits.

A file holds ``images`` uint8 (N, H, W, C) (or (N, H, W), grey), and, all optional: ``labels`` (N,),
``class_names`` (K,), ``attributes`` int64 (N, A) with -1 where missing, ``attribute_names`` (A,)
and ``<attribute>_names``. Every other array with N rows is a factor, read when looked at. A folder
holds train.npz with test.npz, val.npz or unlabeled.npz, or one file alone. Pickles are never
loaded.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import file_of
from viewfinder.data.convert import looks_channels_first

_BLOCK_BYTES = 2**24
_PER_SET = ("class_", "node_")


@dataclass(frozen=True)
class Header:
    """Shape, type and order of a stored array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


@contextmanager
def _clean_errors(path: Path) -> Iterator[None]:
    """Turn what zipfile and numpy raise for damaged files into a UserError naming the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except UserError:
        raise
    except Exception as error:  # a damaged file may make the decoders raise almost anything
        raise UserError(
            f"{path} is not a readable npz file (truncated or damaged?): {brief(error)}",
            fix="write it again with numpy.savez(path, images=..., labels=...)",
        ) from None


def read_header(stream: IO[bytes]) -> Header:
    """The header of a stored array; the stream stands behind it then."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        return Header(*npy.read_array_header_1_0(stream))
    return Header(*npy.read_array_header_2_0(stream))


def check_held(member: str, header: Header, held: int) -> None:
    """Raise ValueError where a header announces more than ``held`` bytes."""
    announced = math.prod(header.shape) * header.dtype.itemsize
    if min(header.shape, default=0) < 0 or (announced > held and not header.dtype.hasobject):
        raise ValueError(f"{member} announces {header.shape} values, and holds {held:,} bytes")


class NpzFile:
    """An npz file whose headers have been read and whose arrays have not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.headers: dict[str, Header] = {}
        with _clean_errors(path), zipfile.ZipFile(file_of(path)) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        header = read_header(stream)
                    check_held(member, header, archive.getinfo(member).file_size)
                    self.headers[member.removesuffix(".npy")] = header

    def check_plain(self, key: str) -> None:
        """Refuse an array of Python objects."""
        if self.headers[key].dtype.hasobject:
            raise UserError(
                f"{self.path}: {key} holds Python objects (a pickle), which are never loaded",
                fix=f"store {key} as numbers or as text, such as np.asarray({key}, dtype=str)",
            )

    def load(self, key: str) -> np.ndarray:
        """The whole array of a key."""
        self.check_plain(key)
        with _clean_errors(self.path), np.load(self.path, allow_pickle=False) as arrays:
            return np.asarray(arrays[key])

    def blocks(self, key: str, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The ascending ``rows`` of an array in pieces of some 16 MB, never holding all of it."""
        self.check_plain(key)
        header = self.headers[key]
        if header.fortran:
            yield self.load(key)[rows]
            return
        row_bytes = int(np.prod(header.shape[1:])) * header.dtype.itemsize
        step = max(1, _BLOCK_BYTES // max(1, row_bytes))
        with (
            _clean_errors(self.path),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{key}.npy") as stream,
        ):
            read_header(stream)
            for start in range(0, header.shape[0], step):
                stop = min(start + step, header.shape[0])
                data = bytearray(stream.read((stop - start) * row_bytes))
                if len(data) < (stop - start) * row_bytes:
                    raise EOFError(f"{key} ends after {start * row_bytes + len(data)} bytes")
                block = np.frombuffer(data, header.dtype).reshape(-1, *header.shape[1:])
                wanted = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
                yield block if len(wanted) == len(block) else block[wanted]


class StoredFactors(Mapping[str, np.ndarray]):
    """Per-image arrays of an npz file, each read when it is looked at."""

    def __init__(self, file: NpzFile, keys: list[str]) -> None:
        self._file = file
        self._keys = keys

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._keys:
            raise KeyError(key)
        return self._file.load(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def factor_keys(file: NpzFile, count: int) -> list[str]:
    """The keys of arrays with a row for each of ``count`` images, beyond those with a meaning."""
    known = {"images", "labels", "attributes"}
    return [
        key
        for key, header in file.headers.items()
        if key not in known
        and not key.endswith("_names")
        and not key.startswith(_PER_SET)
        and header.shape[:1] == (count,)
        and not header.dtype.hasobject
    ]


def image_shape(file: NpzFile) -> tuple[int, tuple[int, int, int]]:
    """The number of images and their (C, H, W); UserError where they are no uint8 NHWC."""
    where = f"{file.path}: images"
    if "images" not in file.headers:
        held = ", ".join(file.headers) or "nothing"
        raise UserError(
            f"{file.path} has no key images (it holds {held})",
            fix="numpy.savez(path, images=images, labels=labels)",
        )
    file.check_plain("images")
    shape, dtype = file.headers["images"].shape, file.headers["images"].dtype
    if dtype != np.uint8:
        scaled = "(images * 255).round().astype(numpy.uint8) if they lie in 0..1"
        raise UserError(
            f"{where} have the type {dtype}; uint8 in 0..255 is expected",
            fix=scaled if dtype.kind == "f" else "images.astype(numpy.uint8) if they lie in 0..255",
        )
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4:
        raise UserError(f"{where} have the shape {shape}; (N, H, W, C) is expected")
    count, height, width, channels = shape
    if looks_channels_first(shape):
        raise UserError(
            f"{where} have the shape {shape}, which looks like (N, C, H, W): it would be "
            f"{channels} channels of {height}x{width} px",
            fix="images.transpose(0, 2, 3, 1)",
        )
    if min(height, width, channels) < 1:
        raise UserError(f"{where} have the shape {shape}: no pixels")
    if count < 2:
        raise UserError(f"{where} are {count}; at least 2 are needed")
    return count, (channels, height, width)


def image_blocks(file: NpzFile, rows: np.ndarray) -> Iterator[Tensor]:
    """The images at ascending ``rows`` as uint8 blocks (n, C, H, W)."""
    for block in file.blocks("images", rows):
        images = torch.from_numpy(block)
        if images.ndim == 3:
            images = images.unsqueeze(-1)
        yield images.permute(0, 3, 1, 2)
