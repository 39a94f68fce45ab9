"""Tiny stand-ins for the image sets of experiments at desk scale, and short runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from viewfinder.papers import desk, image_sets
from viewfinder.recipes.recipe import merge

CLASSES, EACH = 4, 8


def write_sets(folder: Path, names: dict[str, tuple[int, int]]) -> None:
    """Labelled images of (side, channels) for each name, whose shade tells the class."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), EACH)
    for name, (side, channels) in names.items():
        (folder / name).mkdir(parents=True)
        for split in ("train", "test"):
            noise = rng.integers(0, 120, (len(labels), side, side, channels))
            images = (noise + 40 * labels[:, None, None, None]).astype(np.uint8)
            np.savez(folder / name / f"{split}.npz", images=images, labels=labels)


def shorten(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """All desk runs small and on these sets."""
    monkeypatch.setenv(image_sets.VARIABLE, str(folder))
    small = {
        "batch_size": 16,
        "precision": "32",
        "encoder": {"widths": [4, 8, 8, 8]},
        "head": {"projector": [16, 128]},
        "views": {"size": 12},
    }
    monkeypatch.setattr(desk, "COMMON", merge(desk.COMMON, small))
    # every cell as short as the quick form, whatever its own length
    monkeypatch.setattr(desk, "QUICK", {"epochs": 1, "data": {"limit": 96}})
