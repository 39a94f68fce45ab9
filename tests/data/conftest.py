"""Images on disk, made on the fly: good ones and every kind of bad one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(seed: int, height: int = 20, width: int = 20, channels: int = 3) -> Image.Image:
    """A smooth random picture, so that JPEG keeps it nearly as it is."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (3, 3, channels), dtype=np.uint8)
    image = Image.fromarray(small if channels > 1 else small[..., 0])
    return image.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def make_picture() -> Callable[..., Image.Image]:
    return picture


@pytest.fixture
def class_tree(tmp_path: Path) -> Path:
    """cats (6) and dogs (4), as JPEG and PNG of mixed sizes."""
    root = tmp_path / "pets"
    for name, count in (("cats", 6), ("dogs", 4)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            extension = "jpg" if i % 2 else "png"
            picture(i, 20 + i, 30 - i).save(root / name / f"{i}.{extension}")
    return root


def huge_png(path: Path, side: int) -> None:
    """A PNG whose header announces side x side pixels and which holds none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.fixture
def bad_files(tmp_path: Path) -> dict[str, Path]:
    """One unreadable file of each kind, by what is wrong with it."""
    root = tmp_path / "bad"
    root.mkdir()
    files = {
        "zero": root / "zero.jpg",
        "text": root / "text.jpg",
        "truncated_jpeg": root / "truncated.jpg",
        "truncated_png": root / "truncated.png",
        "huge": root / "huge.png",
        "bomb": root / "bomb.png",
        "float": root / "float.tiff",
        "missing": root / "missing.png",
    }
    files["zero"].touch()
    files["text"].write_text("this is no image\n")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("truncated_jpeg", "truncated_png"):
        noise.save(files[name])
        data = files[name].read_bytes()
        files[name].write_bytes(data[: len(data) // 2])
    huge_png(files["huge"], 10_000)
    huge_png(files["bomb"], 100_000)
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(files["float"])
    files["missing"].symlink_to(root / "nowhere.png")
    return files
