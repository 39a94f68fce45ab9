"""Every fact about every image of ``shapes``, drawn by counter: image i needs no image before it.

Draw s of image i is output 64·i + s of the splitmix64 sequence (Steele, Lea & Flood 2014) whose
state starts at a key derived from (seed, split). All lengths are fractions of the image's side, so
an index shows the same scene at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from viewfinder.core.randomness import derive
from viewfinder.data.shapes.tree import CLASS_NAMES

COLOURS: Sequence[str] = ("red", "yellow", "green", "cyan", "blue", "magenta")
TEXTURES: Sequence[str] = ("plain", "shaded", "striped", "checked", "dotted")
BACKGROUNDS: Sequence[str] = ("plain", "shaded", "striped", "checked", "cloudy")
DISTRACTORS: Sequence[str] = ("circle", "square", "rectangle", "triangle")

# What is drawn for an image, in this order; a new one goes to the end, or all images change.
# fmt: off
_DRAWS = (
    "label", "size", "x", "y", "rotation",
    "bright", "luma", "chroma", "colour", "hue",
    "texture", "texture_period", "texture_phase", "texture_depth",
    "ground_luma", "ground_chroma", "ground_hue",
    "background", "ground_period", "ground_phase", "ground_angle", "ground_depth",
    "distractor", "distractor_kind", "distractor_size", "distractor_x", "distractor_y",
    "distractor_rotation", "distractor_luma", "distractor_hue", "noise",
)
# fmt: on
_COIN = 32  # the draws from here on are coins for attributes
_SLOTS = 64  # draws an image may use

# Every silhouette but circle and ring shows a rotation in this range: the star repeats after 2π/5.
SIZE_RANGE, ROTATION_RANGE = (0.35, 0.65), (-np.pi / 5, np.pi / 5)
# Lightness of the lighter of object and ground, and of the darker one; and how far their patterns
# go towards the other. Which is which is a coin, so that no pixel's lightness tells the class.
LIGHT, DARK = (0.68, 0.9), (0.1, 0.32)
TEXTURE_DEPTH, GROUND_DEPTH = (0.05, 0.2), (0.02, 0.1)
# Colours are faint and grounds nearly grey: whatever two crops of an image share beside the outline
# tells images apart more cheaply than the outline does, and is then learned in its place.
CHROMA, GROUND_CHROMA = (0.02, 0.07), (0.0, 0.02)


def uniform(key: int, index: np.ndarray, draw: int) -> np.ndarray:
    """Uniform float64 numbers in [0, 1): draw number ``draw`` of the images ``index`` (n,)."""
    if not 0 <= draw < _SLOTS:
        raise ValueError(f"draw is {draw}; an image has the draws 0 to {_SLOTS - 1}")
    counter = index.astype(np.uint64) * np.uint64(_SLOTS) + np.uint64(draw + 1)
    z = np.uint64(key) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Factors:
    """What n images show; each field is an array of n rows.

    Lengths are fractions of the side, angles radians, colours RGB in [0, 1]. Positions are (x, y)
    from the image's upper left corner, x to the right and y down. A rotation is counter-clockwise
    as seen. A diameter is that of the circle that just holds the upright silhouette.
    """

    label: np.ndarray  # int64, position in CLASS_NAMES
    position: np.ndarray  # (n, 2), centre of the object's circle
    size: np.ndarray  # diameter of that circle
    rotation: np.ndarray
    colour: np.ndarray  # int64, position in COLOURS, nearest to hue
    hue: np.ndarray  # [0, 2π)
    bright: np.ndarray  # bool, the object is lighter than the background
    rgb: np.ndarray  # (n, 2, 3), the object's two colours
    texture: np.ndarray  # int64, position in TEXTURES
    texture_period: np.ndarray
    texture_phase: np.ndarray  # periods
    background: np.ndarray  # int64, position in BACKGROUNDS
    background_rgb: np.ndarray  # (n, 2, 3)
    background_period: np.ndarray
    background_phase: np.ndarray  # periods
    background_angle: np.ndarray
    distractor: np.ndarray  # int64, position in DISTRACTORS, -1 where there is none
    distractor_position: np.ndarray  # (n, 2)
    distractor_size: np.ndarray
    distractor_rotation: np.ndarray
    distractor_rgb: np.ndarray  # (n, 3)
    noise: np.ndarray  # int64 in [0, 2^32), seeds the noise of the pixels

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: slice | np.ndarray) -> Factors:
        return Factors(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def split_key(seed: int, split: str) -> int:
    """The key of one split: other splits draw from other sequences."""
    return derive(seed, f"shapes/{split}")


def coin(key: int, index: np.ndarray, number: int) -> np.ndarray:
    """Uniform numbers that nothing in the image depends on."""
    return uniform(key, index, _COIN + number)


def _colour(luma: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """RGB (n, 3): grey of the given lightness, plus a cosine over the three channels."""
    turns = np.arange(3) * (2 * np.pi / 3)
    return np.clip(luma[:, None] + chroma[:, None] * np.cos(hue[:, None] - turns), 0, 1)


class _Draws:
    """The uniform numbers of n images by name, as intervals and choices."""

    def __init__(self, key: int, index: np.ndarray) -> None:
        self._key, self._index = key, index

    def unit(self, name: str) -> np.ndarray:
        return uniform(self._key, self._index, _DRAWS.index(name))

    def between(self, name: str, low: float, high: float) -> np.ndarray:
        return low + (high - low) * self.unit(name)

    def angle(self, name: str) -> np.ndarray:
        return 2 * np.pi * self.unit(name)

    def choice(self, name: str, among: Sequence[str]) -> np.ndarray:
        return (self.unit(name) * len(among)).astype(np.int64)


def draw_factors(key: int, index: np.ndarray) -> Factors:
    """The facts about images ``index`` int64 (n,) of the split with this key."""
    draws = _Draws(key, index)
    bright = draws.unit("bright") < 0.5
    return Factors(
        label=draws.choice("label", CLASS_NAMES),
        bright=bright,
        noise=(2**32 * draws.unit("noise")).astype(np.int64),
        **_place(draws),
        **_skin(draws, bright),
        **_ground(draws, bright),
        **_distractor(draws),
    )


def _place(draws: _Draws) -> dict[str, np.ndarray]:
    size = draws.between("size", *SIZE_RANGE)
    corner = np.stack([draws.unit("x"), draws.unit("y")], axis=1)
    return {
        "size": size,
        # The whole circle stays in the image.
        "position": size[:, None] / 2 + (1 - size[:, None]) * corner,
        "rotation": draws.between("rotation", *ROTATION_RANGE),
    }


def _skin(draws: _Draws, bright: np.ndarray) -> dict[str, np.ndarray]:
    colour = draws.choice("colour", COLOURS)
    hue = ((colour + draws.between("hue", -0.5, 0.5)) * (2 * np.pi / len(COLOURS))) % (2 * np.pi)
    light = draws.between("luma", *LIGHT)
    luma = np.where(bright, light, 1 - light)
    chroma = draws.between("chroma", *CHROMA)
    depth = draws.between("texture_depth", *TEXTURE_DEPTH) * np.where(bright, -1, 1)
    return {
        "colour": colour,
        "hue": hue,
        "rgb": np.stack([_colour(luma, chroma, hue), _colour(luma + depth, chroma, hue)], axis=1),
        "texture": draws.choice("texture", TEXTURES),
        "texture_period": draws.between("texture_period", 0.12, 0.25),
        "texture_phase": draws.unit("texture_phase"),
    }


def _ground(draws: _Draws, bright: np.ndarray) -> dict[str, np.ndarray]:
    hue, chroma = draws.angle("ground_hue"), draws.between("ground_chroma", *GROUND_CHROMA)
    dark = draws.between("ground_luma", *DARK)
    luma = np.where(bright, dark, 1 - dark)
    depth = draws.between("ground_depth", *GROUND_DEPTH) * np.where(bright, -1, 1)
    colours = [_colour(luma, chroma, hue), _colour(luma - depth, chroma, hue)]
    return {
        "background": draws.choice("background", BACKGROUNDS),
        "background_rgb": np.stack(colours, axis=1),
        "background_period": draws.between("ground_period", 0.15, 0.35),
        "background_phase": draws.unit("ground_phase"),
        "background_angle": draws.angle("ground_angle"),
    }


def _distractor(draws: _Draws) -> dict[str, np.ndarray]:
    kind = draws.choice("distractor_kind", DISTRACTORS)
    luma, chroma = draws.between("distractor_luma", 0.2, 0.8), draws.between("chroma", *CHROMA)
    return {
        "distractor": np.where(draws.unit("distractor") < 0.75, kind, -1),
        "distractor_position": np.stack(
            [draws.unit("distractor_x"), draws.unit("distractor_y")], axis=1
        ),
        "distractor_size": draws.between("distractor_size", 0.15, 0.3),
        "distractor_rotation": draws.angle("distractor_rotation"),
        "distractor_rgb": _colour(luma, chroma, draws.angle("distractor_hue")),
    }
