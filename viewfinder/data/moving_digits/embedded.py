"""Digits and backgrounds for ``moving-digits`` where none are given: real, small digits made
larger, and drawn patterns of ten classes, large enough to be cropped."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from viewfinder.core.randomness import derive
from viewfinder.data.moving_digits.scene import DIGIT
from viewfinder.data.shapes.factors import uniform
from viewfinder.data.shapes.fields import PATTERNS
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData

BOX = 20  # MNIST's digits fill a box of so many pixels in the middle of 28
SIDE = 96  # of a background, as in STL-10
GROUNDS = {"train": 2_000, "test": 500}
HUES = {"warm": 0.0, "cool": np.pi}
KINDS = ("shaded", "striped", "checked", "dotted", "cloudy")
CLASSES = tuple(f"{hue} {kind}" for kind in KINDS for hue in HUES)


def enlarged(images: torch.Tensor) -> torch.Tensor:
    """Digits uint8 (N, 1, h, w) as MNIST has them: in a box of 20 px in the middle of 28."""
    large = F.interpolate(images.float(), (BOX, BOX), mode="bicubic", antialias=True)
    border = (DIGIT - BOX) // 2
    return F.pad(large.clamp(0, 255).round().to(torch.uint8), (border,) * 4)


def grounds(name: str, seed: int) -> Split:
    """Backgrounds uint8 (3, 96, 96) of the split ``name``, a function of the seed, the split and
    their position: patterns of two colours, dark enough for a white digit to be seen."""
    key = derive(seed, f"moving-digits/grounds/{name}")
    index = np.arange(GROUNDS[name])

    def between(draw: int, low: float, high: float) -> np.ndarray:
        drawn = low + (high - low) * uniform(key, index, draw)
        return drawn.astype(np.float32)[:, None, None]

    label = (uniform(key, index, 0) * len(CLASSES)).astype(np.int64)
    angle, period = between(1, 0, 2 * np.pi), between(2, 12, 28)
    middle = np.arange(SIDE, dtype=np.float32) - SIDE / 2
    x, y = middle[None, None, :], middle[None, :, None]
    across = (x * np.cos(angle) + y * np.sin(angle)) / period + between(3, 0, 1)
    along = (y * np.cos(angle) - x * np.sin(angle)) / period + between(4, 0, 1)
    mix = np.zeros((len(index), SIDE, SIDE), np.float32)
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(label // len(HUES) == number)
        mix[rows] = PATTERNS[kind](across[rows], along[rows])
    towards = np.array(list(HUES.values()), np.float32)[label % len(HUES)][:, None, None]
    hue = towards + between(5, -np.pi / 3, np.pi / 3)
    luma = between(6, 0.16, 0.3) + between(7, 0.15, 0.35) * mix
    turns = (np.arange(3) * (2 * np.pi / 3)).astype(np.float32)[None, :, None, None]
    chroma = between(8, 0.08, 0.14)[:, None] * np.cos(hue[:, None] - turns)
    pixels = luma[:, None] + chroma
    images = torch.from_numpy((pixels * 255 + 0.5).astype(np.uint8))  # all are within 0 and 1
    return Split(name, ArrayData(images), labels=label, class_names=CLASSES)
