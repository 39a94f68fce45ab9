"""``moving-digits``: Colorful Moving-MNIST (Tian et al. 2020, InfoMin, section 4.1, appendix B.4).

A digit of 28 px moves over a background of 64 px, a random crop of a larger image. It starts
anywhere in the canvas, moves at 6.4 px a frame in any direction, and bounces off the borders. A
clip is its first frames and a later one. Three factors are drawn independently of each other: the
digit, its path, the background. Clips are a function of (seed, split, index).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.randomness import derive
from viewfinder.core.table import Options
from viewfinder.data.domain import Modality
from viewfinder.data.moving_digits.embedded import enlarged, grounds
from viewfinder.data.moving_digits.scene import CANVAS, DIGIT, ROOM, composed, paths
from viewfinder.data.options import ReadOptions
from viewfinder.data.shapes.factors import uniform
from viewfinder.data.source import Data, Source, Split
from viewfinder.data.stored import ArrayData

Factor = Literal["digit", "background"]
OpenImages = Callable[..., Source]
"""Opens another source of images: (spec, channels=..., size=...)."""
FACTORS = ("digit", "position", "background")
"""What a frame shows: the names of the layers, see ``MovingDigits.layers``."""
# what is drawn for a clip, in this order; a new one goes to the end, or all clips change
_DRAWS = ("digit", "ground", "crop_x", "crop_y", "x", "y", "angle")


class MovingDigitsOptions(Options):
    """What ``moving-digits:key=value,...`` sets."""

    past: int = Field(10, ge=1, le=1_000, description="frames from the first on")
    later: int = Field(20, ge=1, le=10_000, description="the number of the later frame, from 1")
    label: Factor = Field("digit", description="the labels of clips: digit or background")
    digits: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="source of digits, mnist or npz:PATH; left out: embedded ones",
    )
    backgrounds: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="source of backgrounds, stl10 or npz:PATH; left out: embedded patterns",
    )
    train: int = Field(10_000, ge=2, le=10_000_000, description="clips of train")
    test: int = Field(2_000, ge=2, le=10_000_000, description="clips of test")


@dataclass(frozen=True)
class Scenes:
    """What n clips show: digit and ground int64 (n,), positions in their sources; crop int64
    (n, 2), x and y of the background's corner; corner int64 (n, T, 2), of the digit's."""

    digit: np.ndarray
    ground: np.ndarray
    crop: np.ndarray
    corner: np.ndarray


@dataclass(frozen=True)
class MovingDigits:
    """Clips uint8 (T, 3, 64, 64), composed when they are read.

    own     what the clips show
    others  as many further scenes, drawn independently: what a view may show instead
    digits  uint8 (1, 28, 28);  grounds  uint8 (3, H, W), H and W from 64 on
    """

    own: Scenes
    others: Scenes
    digits: Data
    grounds: Data
    modality: Modality = "clips"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.own.corner.shape[1], 3, CANVAS, CANVAS)

    def __len__(self) -> int:
        return len(self.own.digit)

    def read(self, index: np.ndarray) -> Tensor:
        return composed(*self._layers(self.own, np.asarray(index)))

    def layers(self, index: np.ndarray) -> dict[str, Tensor]:
        """Of the clips at ``index`` (n,) what they are composed of: of each factor (n, 2, ...), the
        clip's own and that of another scene. digit uint8 (n, 2, 28, 28), position int64
        (n, 2, T, 2), background uint8 (n, 2, 3, 64, 64)."""
        both = [self._layers(one, np.asarray(index)) for one in (self.own, self.others)]
        ground, digit, corner = (torch.stack(pair, 1) for pair in zip(*both, strict=True))
        return {"digit": digit, "position": corner, "background": ground}

    def _layers(self, scenes: Scenes, index: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        whole = self.grounds.read(scenes.ground[index])
        cropped = [
            image[:, y : y + CANVAS, x : x + CANVAS]
            for image, (x, y) in zip(whole, scenes.crop[index].tolist(), strict=True)
        ]
        return (
            torch.stack(cropped) if cropped else torch.empty(0, *self.shape[1:], dtype=torch.uint8),
            self.digits.read(scenes.digit[index])[:, 0],
            torch.from_numpy(scenes.corner[index]),
        )


def read_moving_digits(
    own: MovingDigitsOptions, how: ReadOptions, open_images: OpenImages
) -> Source:
    """Train and test, drawn from ``how.seed``; of each the first ``how.limit`` clips.

    Digits and backgrounds of train and of test are those of the sources' own splits, which
    ``open_images`` opens. The labels are those of the factor ``own.label``; ``factors`` of each
    split are

    digit, background (N,) int64   classes
    position (N, 2) float64        centre of the digit in the later frame, x and y, px

    Raises UserError for a later frame among the past ones, sources without classes, backgrounds
    that are smaller than the canvas, and what ``open_images`` raises.
    """
    if own.later <= own.past:
        raise UserError(
            f"moving-digits: the later frame is number {own.later}, among the {own.past} past ones",
            fix=f"moving-digits:past={own.past},later={2 * own.past}",
        )
    digits = _digits(own.digits, open_images)
    backgrounds = _backgrounds(own.backgrounds, open_images, how.seed)
    frames = np.array([*range(1, own.past + 1), own.later])
    splits = {}
    for name, count in (("train", own.train), ("test", own.test)):
        index = np.arange(min(count, how.limit or count))
        digit, ground = digits(name), backgrounds(name)
        data = MovingDigits(
            _drawn(how.seed, name, index, digit, ground, frames),
            _drawn(how.seed, f"{name}/others", index, digit, ground, frames),
            digit.data,
            ground.data,
        )
        splits[name] = _split(name, data, digit, ground, own.label)
    return Source("moving-digits", splits)


def _split(name: str, data: MovingDigits, digit: Split, ground: Split, label: Factor) -> Split:
    assert digit.labels is not None and ground.labels is not None
    known = {"digit": (digit, data.own.digit), "background": (ground, data.own.ground)}
    classes = {factor: one.labels[rows] for factor, (one, rows) in known.items()}  # type: ignore[index]
    position = data.own.corner[:, -1] + DIGIT / 2
    return Split(
        name,
        data,
        labels=classes[label],
        class_names=known[label][0].class_names,
        factors={**classes, "position": position.astype(np.float64)},
    )


def _drawn(
    seed: int, name: str, index: np.ndarray, digits: Split, grounds: Split, frames: np.ndarray
) -> Scenes:
    """The scenes of the clips ``index``: each fact drawn by itself, all values equally likely."""
    key = derive(seed, f"moving-digits/{name}")
    unit = {what: uniform(key, index, number) for number, what in enumerate(_DRAWS)}
    height, width = grounds.data.shape[1:]
    crop = [
        (unit[what] * (side - CANVAS + 1)).astype(np.int64)
        for what, side in (("crop_x", width), ("crop_y", height))
    ]
    start = ROOM * np.stack([unit["x"], unit["y"]], 1)
    corner = np.rint(paths(start, 2 * np.pi * unit["angle"], frames)).astype(np.int64)
    return Scenes(
        (unit["digit"] * len(digits)).astype(np.int64),
        (unit["ground"] * len(grounds)).astype(np.int64),
        np.stack(crop, 1),
        corner,
    )


def _digits(spec: str | None, open_images: OpenImages) -> Callable[[str], Split]:
    """The digits of each split, one channel of 28 px."""
    size = None if spec is None else DIGIT
    found = _opened(open_images, "digits" if spec is None else spec, "digits", 1, size)

    def of(name: str) -> Split:
        split = found(name)
        if spec is not None:
            return split
        images = split.data.read(np.arange(len(split)))
        return replace(split, data=ArrayData(enlarged(images)))

    return of


def _backgrounds(spec: str | None, open_images: OpenImages, seed: int) -> Callable[[str], Split]:
    """The backgrounds of each split, three channels of at least the canvas."""
    if spec is None:
        return lambda name: grounds(name, seed)
    found = _opened(open_images, spec, "backgrounds", 3, None)

    def of(name: str) -> Split:
        split = found(name)
        if min(split.data.shape[1:]) < CANVAS:
            height, width = split.data.shape[1:]
            raise UserError(
                f"moving-digits: the backgrounds of {spec} have {height}x{width} px; they are "
                f"cropped to {CANVAS}x{CANVAS}",
                fix="backgrounds=stl10, or any images of 64 px or more",
            )
        return split

    return of


def _opened(
    open_images: OpenImages, spec: str, what: str, channels: int, size: int | None
) -> Callable[[str], Split]:
    """The splits of a source of classes: train, and test."""
    source = open_images(spec, channels=channels, size=size)

    def of(name: str) -> Split:
        split = source.splits.get(name)
        if split is None or split.labels is None or (split.labels < 0).any():
            raise UserError(
                f"moving-digits: {what}={spec} has no classes of all its images of {name}, which "
                "are a factor of the clips",
                fix=f"moving-digits without {what}, which takes embedded ones",
            )
        return split

    return of
