"""The view of an image without chance."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from viewfinder.views.chunks import chunks, run_all
from viewfinder.views.presets import VARIANTS
from viewfinder.views.steps.crop import resize_matrix, resized_crop

RESIZED, KEPT = 256, 224
"""Large images are resized by their shorter side to the first of a view of the second, px."""


def large(size: int) -> bool:
    """Whether views of ``size`` px are of the papers' large kind: nearest, by ratio, to 224 px."""
    return size * size > VARIANTS[-2] * VARIANTS[-1]


def seen_boxes(height: int, width: int, size: int, sides: Tensor | None = None) -> Tensor:
    """What evaluation sees of images, as boxes: top, left, height, width, float32 (1 or N, 4).

    Small views (``large``) see the whole image, as on CIFAR. Large ones see what torchvision's
    Resize and CenterCrop leave: the shorter side becomes 256/224 of ``size``, then the centre.

    height, width  of the images as they are stored: the boxes are in their pixels
    sides          integers (N, 2), height and width of each before it was made so; None: the same
    """
    stored = torch.tensor([[height, width]], device=None if sides is None else sides.device)
    if not large(size):
        return torch.cat([torch.zeros_like(stored), stored], 1).float()
    were = (stored if sides is None else sides).long()
    resized = (round(size * RESIZED / KEPT) * were) // were.amin(1, keepdim=True)
    start, scale = ((resized - size) / 2).round(), stored / resized
    return torch.cat([start * scale, size * scale], 1)


def seen(
    images: Tensor,
    size: int,
    channels: int,
    further: Callable[[Tensor], Tensor],
    sides: Tensor | None = None,
) -> Tensor:
    """What evaluation sees of images, at ``size`` x ``size``, with what is ``further`` done.

    Equal to torchvision's functions on floats (nothing is rounded to 8 bits).

    images    uint8 (N, C, H, W)
    further   from float (n, C, size, size) in [0, 1] to
              (n, channels, size, size)
    sides     as in ``seen_boxes``
    Returns float32 (N, channels, size, size).
    """
    n, _, height, width = images.shape
    out = torch.empty(n, channels, size, size, device=images.device)
    boxes = seen_boxes(height, width, size, sides).to(images.device)
    whole = not large(size) and (height, width) == (size, size)
    if len(boxes) == 1:  # one pair of matrices for all
        top, left, h, w = boxes.unbind(1)
        (rows,) = resize_matrix(top, h, height, size, bounded=False)
        (columns,) = resize_matrix(left, w, width, size, bounded=False)

    @torch.no_grad()
    def task(part: slice) -> None:
        with torch.autocast(images.device.type, enabled=False):
            if whole:
                x = images[part].float().div_(255)
            elif len(boxes) == 1:
                x = torch.matmul(rows, torch.matmul(images[part].float(), columns.T)).div_(255)
            else:
                x = resized_crop(images[part], boxes[part], size, bounded=False)
            out[part] = further(x)

    parts = chunks(n, max(images[:1].numel(), out[:1].numel()), images.device)
    run_all([functools.partial(task, part) for part in parts], images.device)
    return out
