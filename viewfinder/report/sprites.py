"""Images for the page: made displayable, fitted to a size, and packed into one sheet."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

BLOCK = 8
"""JPEG works on blocks of 8 px; tiles that start on block borders do not bleed into each other."""


def displayable(images: np.ndarray) -> np.ndarray:
    """uint8 (..., C) to uint8 (..., 1 or 3): other than 1 or 3 channels become their mean."""
    if images.shape[-1] in (1, 3):
        return images
    return images.mean(axis=-1, keepdims=True).round().astype(np.uint8)


def fit(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (N, H, W, C) scaled into (N, height, width, C), aspect kept, the rest black.

    Smaller images are enlarged without smoothing, so that their own pixels stay visible.
    """
    count, h, w, channels = images.shape
    if (h, w) == (height, width):
        return images
    scale = min(height / h, width / w)
    new_h, new_w = max(1, round(h * scale)), max(1, round(w * scale))
    resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    out = np.zeros((count, height, width, channels), np.uint8)
    top, left = (height - new_h) // 2, (width - new_w) // 2
    for image, target in zip(images, out, strict=True):
        for c in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(image[..., c]))
            scaled = np.asarray(plane.resize((new_w, new_h), resample))
            target[top : top + new_h, left : left + new_w, c] = scaled
    return out


def shrink(images: np.ndarray, max_side: int) -> np.ndarray:
    """uint8 (N, H, W, C) scaled down, aspect kept, until no side exceeds ``max_side``."""
    _, h, w, _ = images.shape
    scale = min(1.0, max_side / max(h, w, 1))
    return fit(images, max(1, round(h * scale)), max(1, round(w * scale)))


@dataclass(frozen=True)
class Sheet:
    """Many thumbnails in one image.

    Tile i is the ``height`` x ``width`` rectangle whose corner is ``corner(i)``.
    """

    uri: str
    columns: int
    rows: int
    pitch_x: int
    pitch_y: int
    height: int
    width: int

    def corner(self, i: int) -> tuple[int, int]:
        """(x, y) in pixels of tile i."""
        return (i % self.columns) * self.pitch_x, (i // self.columns) * self.pitch_y


def sheet(images: np.ndarray, *, max_side: int = 48, budget: int = 1_400_000) -> Sheet:
    """Pack uint8 (N, H, W, C), N > 0, row by row into one near-square image.

    PNG (exact) where that stays under ``budget`` bytes, else JPEG.
    """
    tiles = displayable(shrink(images, max_side))
    count, h, w, channels = tiles.shape
    pitch_y, pitch_x = (BLOCK * math.ceil(side / BLOCK) for side in (h, w))
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    gaps = ((0, rows * columns - count), (0, pitch_y - h), (0, pitch_x - w), (0, 0))
    padded = np.pad(tiles, gaps, mode="edge")
    grid = padded.reshape(rows, columns, pitch_y, pitch_x, channels).transpose(0, 2, 1, 3, 4)
    whole = grid.reshape(rows * pitch_y, columns * pitch_x, channels)
    return Sheet(encode(whole, budget), columns, rows, pitch_x, pitch_y, h, w)


def encode(image: np.ndarray, budget: int) -> str:
    """uint8 (H, W, 1 or 3) as a data URI: PNG under ``budget`` bytes, else JPEG as fine as fits."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    data = _save(picture, format="PNG")
    if len(data) <= budget:
        return _uri("image/png", data)
    for quality in (90, 80, 65, 50):
        data = _save(picture, format="JPEG", quality=quality, subsampling=0)
        if len(data) <= budget:
            break
    return _uri("image/jpeg", data)


def _save(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
