"""Planted copies, strangers and wrong labels: what a search for them finds can be counted."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

CHANGES = ("equal", "jpeg", "darker", "cut", "mirrored", "reduced")
"""What may have happened to a copy: nothing; stored as JPEG of quality 60; 5 to 25 % darker; 8 % of
each side cut off somewhere and resized; mirrored; reduced to half the side and enlarged again."""


@dataclass(frozen=True)
class Planted:
    """A set with known faults.

    images  uint8 (N, H, W, 3); the copies stand behind the n originals, then the strangers
    labels  int64 (N,), some of them wrong
    copies  int64 (m, 2): rows of an original and of its copy, of each change in turn
    strange, wrong  bool (N,): images of another set; labels that were changed
    """

    images: np.ndarray
    labels: np.ndarray
    copies: np.ndarray
    strange: np.ndarray
    wrong: np.ndarray


def plant(
    images: np.ndarray,
    labels: np.ndarray,
    strangers: np.ndarray,
    rng: np.random.Generator,
    *,
    copied: float = 0.06,
    mislabelled: float = 0.05,
) -> Planted:
    """Plant faults in images uint8 (n, H, W, 3) with labels int64 (n,): copies of a share of them,
    all ``strangers`` uint8 (s, H, W, 3), with any label, and wrong labels of a share."""
    n, classes = len(images), int(labels.max()) + 1
    originals = rng.permutation(n)[: round(copied * n)]
    kinds = [CHANGES[i % len(CHANGES)] for i in range(len(originals))]
    pairs = zip(originals, kinds, strict=True)
    copies = np.stack([changed(images[i], kind, rng) for i, kind in pairs])
    given = np.concatenate([labels, labels[originals], rng.integers(0, classes, len(strangers))])
    wrong = np.zeros(len(given), bool)
    wrong[rng.permutation(n)[: round(mislabelled * n)]] = True
    given[wrong] = (given[wrong] + rng.integers(1, classes, wrong.sum())) % classes
    strange = np.zeros(len(given), bool)
    strange[n + len(copies) :] = True
    rows = np.stack([originals, n + np.arange(len(copies))], axis=1)
    return Planted(np.concatenate([images, copies, strangers]), given, rows, strange, wrong)


def changed(image: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A copy uint8 (H, W, 3) of an image, changed as ``CHANGES`` says."""
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    if kind == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=60)
        picture = Image.open(buffer).convert("RGB")
    elif kind == "cut":
        h, w = round(0.92 * height), round(0.92 * width)
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        part = picture.crop((left, top, left + w, top + h))
        picture = part.resize((width, height), Image.Resampling.BILINEAR)
    elif kind == "mirrored":
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif kind == "reduced":
        small = picture.resize((width // 2, height // 2), Image.Resampling.BILINEAR)
        picture = small.resize((width, height), Image.Resampling.BILINEAR)
    made = np.asarray(picture).copy()
    return (made * rng.uniform(0.75, 0.95)).astype(np.uint8) if kind == "darker" else made
