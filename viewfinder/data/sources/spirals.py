"""Two spirals in the plane: points as data, for experiments whose every answer can be seen."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.randomness import torch_generator
from viewfinder.core.ranges import Positive
from viewfinder.core.table import Options
from viewfinder.data.batch import Batch
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.stored import ArrayData

Arrangement = Literal["interleaved", "mirrored"]
Even = Literal["angle", "arc"]


class SpiralsOptions(Options):
    """What ``spirals:key=value,...`` sets."""

    radius: Positive = Field(1.0, description="distance of the outermost points")
    turns: Positive = Field(2.0, description="how often each spiral winds")
    arrangement: Arrangement = Field("interleaved", description="interleaved or mirrored")
    even: Even = Field("angle", description="points even in angle, or along the arc")
    train: int = Field(10_000, ge=2, le=100_000_000, description="points of train")
    test: int = Field(2_000, ge=2, le=100_000_000, description="points of test")


def read_spirals(own: SpiralsOptions, how: ReadOptions) -> Source:
    """Train and test, drawn from ``how.seed``; of each the first ``how.limit`` points."""
    splits = {}
    for name, count in (("train", own.train), ("test", own.test)):
        batch = spirals(
            count,
            torch_generator(how.seed, f"spirals/{name}"),
            radius=own.radius,
            turns=own.turns,
            arrangement=own.arrangement,
            even=own.even,
        )
        assert batch.label is not None
        splits[name] = Split(
            name,
            ArrayData(batch.data[: how.limit], "points"),
            labels=batch.label[: how.limit].numpy(),
            class_names=["first spiral", "second spiral"],
        )
    return Source("spirals", splits)


def spirals(
    count: int,
    generator: torch.Generator,
    *,
    radius: float = 1.0,
    turns: float = 2.0,
    arrangement: Arrangement = "interleaved",
    even: Even = "angle",
) -> Batch:
    """``count`` points on two Archimedean spirals that wind ``turns`` times out to ``radius``.

        x = r (cos a, sin a),   a = 2 pi turns r / radius

    with points even in "angle" (a is uniform: dense near the centre) or, about, along the "arc"
    (a^2 is uniform). With whole turns and even angles no line tells the spirals apart: a linear
    classifier of the coordinates is at chance. The second spiral is the first one
    turned by half a circle ("interleaved": the arms never meet, and are radius / (2 turns) apart)
    or its mirror image, left and right exchanged ("mirrored": one winds clockwise, the other
    counter-clockwise, and they cross twice a turn).

    Returns a Batch: images float32 (count, 2), index 0 ... count - 1, label int64 (count,), the
    spiral, 0 and 1 in turns. Raises ValueError for a count below 1 or an unknown choice.

    >>> batch = spirals(4, torch.Generator().manual_seed(0))
    >>> batch.data.shape, batch.label.tolist()
    (torch.Size([4, 2]), [0, 1, 0, 1])
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    for name, value, known in (("arrangement", arrangement, Arrangement), ("even", even, Even)):
        if value not in get_args(known):
            raise ValueError(f"{name} must be one of {get_args(known)}, not {value!r}")
    share = torch.rand(count, generator=generator)
    r = radius * (share if even == "angle" else share.sqrt())
    angle = 2 * math.pi * turns * r / radius
    index = torch.arange(count)
    label = index % 2
    return Batch(_place(r, angle, label, arrangement), index, label)


def _place(r: Tensor, angle: Tensor, label: Tensor, arrangement: Arrangement) -> Tensor:
    x, y = r * angle.cos(), r * angle.sin()
    sign = 1.0 - 2.0 * label
    return torch.stack([x * sign, y * sign if arrangement == "interleaved" else y], dim=1)
