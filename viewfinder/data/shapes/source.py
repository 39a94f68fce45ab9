"""``shapes``: pictures made by the project itself, with exact knowledge of everything in them.

One object of sixteen shapes lies on a patterned ground, turned, moved, coloured and textured, most
often beside a small distractor. Shape is the class; all else is drawn independently of it, so that
pixels say little about the class and outlines everything. Images are a function of (seed, split,
index) alone, and an index shows the same scene at every size.

    python -m viewfinder.data.shapes.source OUT.png    # a picture of all classes
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.convert import channel_note
from viewfinder.data.options import ReadOptions
from viewfinder.data.shapes.attributes import draw_attributes
from viewfinder.data.shapes.factors import Factors, draw_factors, split_key
from viewfinder.data.shapes.render import render
from viewfinder.data.shapes.tree import CLASS_NAMES, CLASS_PATH_IDS
from viewfinder.data.source import Source, Split
from viewfinder.data.stored import ArrayData, ConvertedImages

TRAIN, TEST = 10_000, 2_000
SIZES = (16, 256)
DEFAULT_SIZE = 32


def shapes_source(
    size: int = DEFAULT_SIZE,
    limit: int | None = None,
    seed: int = 0,
    *,
    train: int = TRAIN,
    test: int = TEST,
) -> Source:
    """The splits "train" and "test" of the world with this seed, RGB uint8, in memory.

    size    side in pixels, 16 to 256 (32, 64 and 96 are what the recipes use)
    limit   at most so many images a split: the first ones
    train, test   images of each split before the limit

    ``factors`` of each split, lengths in pixels unless said, x to the right and y down from the
    upper left corner of the image (the first pixel's centre is at 0.5, 0.5), angles in radians:

    class_path (N, 5) int64    positions in shapes_tree.NODE_NAMES, from the root to the class
    box (N, 4) int64           x0, y0, x1, y1 tight around the mask, x1 and y1 exclusive
    mask (N, size, size) bool  pixels at least half covered by the object, which nothing hides
    mask_area (N,) int64       how many
    position (N, 2)            centre of the circle that holds the object
    size (N,)                  diameter of that circle as a fraction of the side
    rotation (N,)              counter-clockwise as seen; circle and ring do not show it
    colour (N,) int64          of the object, position in shapes_factors.COLOURS
    hue (N,), bright (N,)      hue of the object; whether it is lighter than the ground
    texture, background, distractor (N,) int64
                               positions in shapes_factors.TEXTURES, BACKGROUNDS and DISTRACTORS
                               (-1: no distractor)
    texture_period, background_period, background_angle, distractor_position, distractor_size
                               as they say; sizes as fractions, periods in pixels

    Floats are float64. Raises UserError for a size or limit out of range.

    >>> source = shapes_source(32, limit=4)
    >>> source.train.data.shape, source.train.factors["box"].shape
    ((3, 32, 32), (4, 4))
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise UserError(
            f"data.size is {size}; shapes are drawn at {SIZES[0]} to {SIZES[1]} pixels",
            fix="data.size=32",
        )
    if limit is not None and limit < 1:
        raise UserError(f"data.limit is {limit}; at least 1 is expected", fix="data.limit=1000")
    counts = {"train": train, "test": test}
    if limit is not None:
        counts = {name: min(count, limit) for name, count in counts.items()}
    splits = {name: shapes_split(name, np.arange(n), size, seed) for name, n in counts.items()}
    return Source(spec="shapes", splits=splits)


def read_shapes(options: ReadOptions) -> Source:
    """``shapes`` as a recipe's data part has it: at 32 px unless ``options.size``."""
    source = shapes_source(options.size or DEFAULT_SIZE, options.limit, options.seed)
    note = channel_note(source.train.data.shape[0], options.channels, "shapes")
    if note is None:
        return source
    splits = {
        name: replace(split, data=ConvertedImages(split.data, options.channels, None))
        for name, split in source.splits.items()
    }
    return replace(source, splits=splits, notes=[*source.notes, note])


def shapes_split(name: str, index: np.ndarray, size: int = 32, seed: int = 0) -> Split:
    """The images ``index`` int64 (n,) of split ``name``: any name, any indices, in any order."""
    key = split_key(seed, name)
    factors = draw_factors(key, index)
    images, masks = render(factors, size)
    return Split(
        name=name,
        data=ArrayData(torch.from_numpy(images)),
        labels=factors.label,
        class_names=CLASS_NAMES,
        attributes=draw_attributes(factors, key, index),
        factors=_known(factors, masks, size),
    )


def _known(f: Factors, masks: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """What is told about each image, in pixels of this size."""
    return {
        "class_path": CLASS_PATH_IDS[f.label],
        "box": tight_boxes(masks),
        "mask": masks,
        "mask_area": masks.sum(axis=(1, 2), dtype=np.int64),
        "position": f.position * size,
        "size": f.size,
        "rotation": f.rotation,
        "colour": f.colour,
        "hue": f.hue,
        "bright": f.bright,
        "texture": f.texture,
        "texture_period": f.texture_period * size,
        "background": f.background,
        "background_period": f.background_period * size,
        "background_angle": f.background_angle,
        "distractor": f.distractor,
        "distractor_position": f.distractor_position * size,
        "distractor_size": f.distractor_size,
    }


def tight_boxes(masks: np.ndarray) -> np.ndarray:
    """Boxes int64 (n, 4) x0, y0, x1, y1 (exclusive) around the true pixels of bool (n, h, w)."""
    sides = []
    for axis in (1, 2):  # columns, then rows, that have any
        hit = np.any(masks, axis=axis)
        sides.append((hit.argmax(axis=1), hit.shape[1] - hit[:, ::-1].argmax(axis=1)))
    (x0, x1), (y0, y1) = sides
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.int64)


def picture(path: Path, size: int = 48, columns: int = 6) -> None:
    """Save a PNG with a row for each class, two classes side by side."""
    from PIL import Image

    split = shapes_split("train", np.arange(60 * columns), size)
    assert split.labels is not None
    labels, images = split.labels, split.data
    chosen = [np.flatnonzero(labels == c)[:columns] for c in range(len(CLASS_NAMES))]
    tiles = images.read(np.concatenate(chosen)).numpy()
    rows = tiles.reshape(8, 2 * columns, 3, size, size).transpose(0, 3, 1, 4, 2)
    Image.fromarray(rows.reshape(8 * size, 2 * columns * size, 3)).save(path, optimize=True)


if __name__ == "__main__":
    picture(Path(sys.argv[1]))
