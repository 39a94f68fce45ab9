"""Draws the images of ``shapes``: fields over the pixels, blended by antialiased coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from viewfinder.data.shapes.factors import BACKGROUNDS, DISTRACTORS, TEXTURES, Factors
from viewfinder.data.shapes.fields import PATTERNS, SILHOUETTES, Field
from viewfinder.data.shapes.tree import CLASS_NAMES

NOISE = 0.1
_CHUNK_PIXELS = 1 << 18


def render(factors: Factors, size: int, noise: float = NOISE) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 3, size, size) and object masks bool (n, size, size), on one core.

    A pixel belongs to the mask where the object covers at least half of it. The object lies above
    the distractor, so the mask is always the whole silhouette. Uniform noise in [-noise, noise] is
    added to each channel (of range 0 to 1) of each pixel.
    """
    images = np.empty((len(factors), 3, size, size), np.uint8)
    masks = np.empty((len(factors), size, size), bool)
    step = max(1, _CHUNK_PIXELS // size**2)
    for start in range(0, len(factors), step):
        rows = slice(start, start + step)
        images[rows], masks[rows] = _render(factors[rows], size, noise)
    return images, masks


def _render(f: Factors, size: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    x, y = _local(size, np.full_like(f.position, 0.5), f.background_angle, f.background_period)
    phase = _column(f.background_phase)
    ground = _per_kind(f.background, BACKGROUNDS, PATTERNS, x + phase, y + phase)
    image = _mix(f.background_rgb[:, 0], f.background_rgb[:, 1], ground)

    seen = np.flatnonzero(f.distractor >= 0)
    radius = f.distractor_size[seen] / 2
    x, y = _local(size, f.distractor_position[seen], f.distractor_rotation[seen], radius)
    distance = _per_kind(f.distractor[seen], DISTRACTORS, SILHOUETTES, x, y)
    cover = _coverage(distance, radius * size)
    image[seen] = _over(image[seen], _pixels(f.distractor_rgb[seen]), cover)

    x, y = _local(size, f.position, f.rotation, f.size / 2)
    cover = _coverage(_per_kind(f.label, CLASS_NAMES, SILHOUETTES, x, y), f.size / 2 * size)
    scale, phase = _column(f.size / 2 / f.texture_period), _column(f.texture_phase)
    skin = _per_kind(f.texture, TEXTURES, PATTERNS, x * scale + phase, y * scale + phase)
    image = _over(image, _mix(f.rgb[:, 0], f.rgb[:, 1], skin), cover)
    image = np.clip(image + _noise(f.noise, size, noise), 0, 1)
    return np.floor(image * 255 + np.float32(0.5)).astype(np.uint8), cover >= 0.5


def _noise(key: np.ndarray, size: int, amplitude: float) -> np.ndarray:
    """Uniform noise (n, 3, size, size): a 32-bit hash of each image's key and the place in it."""
    place = np.arange(3 * size * size, dtype=np.uint32).reshape(3, size, size)
    z = key.astype(np.uint32)[:, None, None, None] + place * np.uint32(0x9E3779B9)
    z ^= z >> np.uint32(16)
    z *= np.uint32(0x7FEB352D)
    z ^= z >> np.uint32(15)
    z *= np.uint32(0x846CA68B)
    z ^= z >> np.uint32(16)
    unit = (z >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return (unit - np.float32(0.5)) * np.float32(2 * amplitude)


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None]


def _pixels(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32)[:, :, None, None]


def _local(
    size: int, centre: np.ndarray, rotation: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres (n, size, size) in the frame of an object: x to its right, y up, in units."""
    middle = (np.arange(size) + 0.5) / size
    x = (middle - centre[:, :1]) / unit[:, None]
    y = (centre[:, 1:] - middle) / unit[:, None]
    cos, sin = np.cos(rotation)[:, None], np.sin(rotation)[:, None]
    xc, xs, yc, ys = ((a * b).astype(np.float32) for a in (x, y) for b in (cos, sin))
    return xc[:, None, :] + ys[:, :, None], yc[:, :, None] - xs[:, None, :]


def _per_kind(
    kind: np.ndarray,
    names: Sequence[str],
    fields: Mapping[str, Field],
    x: np.ndarray,
    y: np.ndarray,
) -> np.ndarray:
    """Each image's own field, evaluated for all images of one kind together."""
    values = np.empty_like(x)
    for number, name in enumerate(names):
        rows = np.flatnonzero(kind == number)
        if len(rows):
            values[rows] = fields[name](x[rows], y[rows])
    return values


def _coverage(distance: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The part of each pixel inside: a ramp one pixel wide across the outline."""
    return np.clip(np.float32(0.5) - distance * _column(radius), 0, 1)


def _mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return _pixels(first) + _pixels(second - first) * weight[:, None]


def _over(below: np.ndarray, above: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return below + (above - below) * cover[:, None]
