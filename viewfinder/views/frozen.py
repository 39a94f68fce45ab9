"""The view of an image without chance."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from viewfinder.views.chunks import chunks, run_all
from viewfinder.views.steps.crop import resize_matrix


def resized_centre(
    images: Tensor, size: int, channels: int, further: Callable[[Tensor], Tensor]
) -> Tensor:
    """Resize the shorter side to ``size``, cut the centre, and do what is ``further`` to be done.

    Equal to torchvision's Resize and CenterCrop, on floats (nothing is rounded to 8 bits).

    images    uint8 (N, C, H, W)
    further   from float (n, C, size, size) in [0, 1] to
              (n, channels, size, size)
    Returns float32 (N, channels, size, size).
    """
    n, _, height, width = images.shape
    out = torch.empty(n, channels, size, size, device=images.device)
    short = min(height, width)
    columns, rows = (
        _centre_matrix(side, size * side // short, size).to(images.device)
        for side in (width, height)
    )

    @torch.no_grad()
    def task(part: slice) -> None:
        x = images[part].float()
        with torch.autocast(images.device.type, enabled=False):
            if (height, width) != (size, size):
                x = torch.matmul(rows, torch.matmul(x, columns.T))
            out[part] = further(x.div_(255))

    parts = chunks(n, max(images[:1].numel(), out[:1].numel()), images.device)
    run_all([functools.partial(task, part) for part in parts], images.device)
    return out


def _centre_matrix(full: int, resized: int, size: int) -> Tensor:
    """Weights (size, full) that resize a line to ``resized`` and keep its central ``size``."""
    matrix = resize_matrix(torch.zeros(1), torch.tensor([float(full)]), full, resized)[0]
    start = round((resized - size) / 2)
    return matrix[start : start + size]
