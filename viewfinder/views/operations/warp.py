"""Affine maps of images, a batch at a time, as PIL makes them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CUBIC = -1.0  # of the cubic convolution (Keys 1981), as PIL's transforms have it


def rotation(degrees: Tensor, height: int, width: int) -> Tensor:
    """Where the pixels of an image turned counter-clockwise around its centre come from.

    degrees (N,) -> (N, 2, 3): see ``warp``.
    """
    turn = -degrees * (math.pi / 180)
    cos, sin = turn.cos(), turn.sin()
    x, y = width / 2, height / 2
    rows = [
        torch.stack([cos, sin, x - cos * x - sin * y], 1),
        torch.stack([-sin, cos, y + sin * x - cos * y], 1),
    ]
    return torch.stack(rows, 1)


def moved(like: Tensor, **entries: Tensor) -> Tensor:
    """The identity (N, 2, 3), except for entries by name: xx, xy, x, yx, yy, y, each (N,)."""
    found = {"xx": torch.ones_like(like), "yy": torch.ones_like(like), **entries}
    none = torch.zeros_like(like)
    names = (("xx", "xy", "x"), ("yx", "yy", "y"))
    return torch.stack([torch.stack([found.get(k, none) for k in row], 1) for row in names], 1)


def warp(images: Tensor, matrix: Tensor, cubic: Tensor, fill: Tensor) -> Tensor:
    """Images under an affine map each, equal to PIL's ``Image.transform`` up to its rounding.

    images  float (N, C, H, W)
    matrix  (N, 2, 3): the pixel whose centre is (x, y) is taken from matrix @ (x, y, 1)
    cubic   bool (N,): bicubic interpolation (a = -1), else bilinear; beyond the border the
            border's pixels are repeated
    fill    (C,), what comes from outside of the image
    Returns (N, C, H, W).
    """
    n, channels, height, width = images.shape
    rows, columns = (
        torch.arange(side, device=images.device, dtype=images.dtype) + 0.5
        for side in (height, width)
    )
    place = matrix.to(images.dtype)[:, :, :2] @ torch.stack(
        [columns.expand(height, -1).flatten(), rows[:, None].expand(-1, width).flatten()]
    )
    x, y = (place + matrix.to(images.dtype)[:, :, 2:]).unbind(1)  # (N, H W) each
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x - 0.5, y - 0.5
    left, top = x.floor(), y.floor()
    flat = images.reshape(n, channels, height * width)
    out = torch.zeros_like(flat)
    for i in range(-1, 3):
        weight_y = _weight(y - (top + i), cubic)
        row = (top + i).long().clamp(0, height - 1) * width
        for k in range(-1, 3):
            weight = weight_y * _weight(x - (left + k), cubic)
            at = row + (left + k).long().clamp(0, width - 1)
            taken = flat.gather(2, at[:, None].expand(-1, channels, -1))
            out += taken * weight[:, None]
    out = torch.where(inside[:, None], out, fill.to(images).view(1, -1, 1))
    return out.view_as(images)


def _weight(distance: Tensor, cubic: Tensor) -> Tensor:
    """The weight of a pixel at a distance (N, M) from where an image is looked at."""
    d = distance.abs()
    near = ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * CUBIC - 4 * CUBIC
    smooth = torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
    return torch.where(cubic[:, None], smooth, (1 - d).clamp(min=0))
