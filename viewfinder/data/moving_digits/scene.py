"""A digit that moves over a background and bounces off the borders: where it is, and how it looks.

Places are (x, y) of the digit's upper left corner, x to the right and y down, in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CANVAS, DIGIT = 64, 28
ROOM = CANVAS - DIGIT
"""How far a corner can move, px."""
SPEED = 0.1 * CANVAS
"""Pixels from one frame to the next."""


def paths(start: np.ndarray, angle: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Where digits are in some frames, at constant speed, reflected wherever they touch a border.

    start   float (n, 2), the corner in frame 1, each coordinate in [0, ROOM]
    angle   float (n,), direction of the velocity, radians
    frames  int (T,), counted from 1
    Returns float64 (n, T, 2). A coordinate that bounces between 0 and ROOM is the triangle wave of
    the one that would move on for ever.

    >>> paths(np.array([[30.0, 0.0]]), np.array([0.0]), np.array([1, 2, 3]))[0, :, 0].round(3)
    array([30. , 35.6, 29.2])
    """
    velocity = SPEED * np.stack([np.cos(angle), np.sin(angle)], 1)
    free = start[:, None] + velocity[:, None] * (frames - 1)[None, :, None]
    folded = np.mod(free, 2 * ROOM)
    return np.minimum(folded, 2 * ROOM - folded)


def composed(ground: Tensor, digit: Tensor, corner: Tensor) -> Tensor:
    """Frames: a white digit over a background, as opaque as its own pixels are bright.

    ground  uint8 (N, C, CANVAS, CANVAS)
    digit   uint8 (N, DIGIT, DIGIT), 255: white
    corner  int64 (N, T, 2), where the digit is in each frame
    Returns uint8 (N, T, C, CANVAS, CANVAS).
    """
    n, times = corner.shape[:2]
    channels, device = ground.shape[1], ground.device
    steps = torch.arange(DIGIT, device=device)
    rows, columns = (corner[..., axis, None] + steps for axis in (1, 0))
    place = (rows[..., :, None] * CANVAS + columns[..., None, :]).view(n * times, 1, -1)
    place = place.expand(-1, channels, -1)
    frames = ground[:, None].repeat(1, times, 1, 1, 1)
    flat = frames.view(n * times, channels, -1)
    below = flat.gather(2, place).to(torch.int32)
    cover = digit.to(torch.int32).view(n, 1, 1, -1).expand(-1, times, -1, -1).flatten(0, 1)
    over = below + ((255 - below) * cover + 127) // 255
    flat.scatter_(2, place, over.to(torch.uint8))
    return frames
