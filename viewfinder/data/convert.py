"""Other channel counts and other sizes of uint8 images, by rules that are said aloud."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.core.errors import UserError

USUAL_CHANNELS = (1, 3, 4)
"""Grey, RGB, RGBA: what an axis of another length is not, where one of these lengths is there."""


def looks_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether images that are read as (..., H, W, C) are rather (..., C, H, W), by their lengths.

    >>> looks_channels_first((500, 3, 32, 32)), looks_channels_first((500, 4, 4, 13))
    (True, False)
    """
    height, width, channels = shape[-3:]
    return height in USUAL_CHANNELS and channels not in USUAL_CHANNELS and height != width


def looks_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether images that are read as (..., C, H, W) are rather (..., H, W, C), by their lengths.

    >>> looks_channels_last((500, 32, 32, 3)), looks_channels_last((500, 13, 32, 32))
    (True, False)
    """
    channels, height, width = shape[-3:]
    return width in USUAL_CHANNELS and channels not in USUAL_CHANNELS and height != width


def channel_note(have: int, want: int | None, where: str) -> str | None:
    """What converting ``have`` to ``want`` channels does, in words; None where nothing is done.

    Raises UserError where no conversion is defined (anything but 1 to 3 and 3 to 1).
    """
    if want is None or want == have:
        return None
    if (have, want) == (1, 3):
        return f"{where}: the grey channel was repeated three times (data.channels=3)"
    if (have, want) == (3, 1):
        return f"{where}: RGB was turned into ITU-R 601 luma (data.channels=1)"
    raise UserError(
        f"{where} has {have} channels and data.channels is {want}; only 1 to 3 (grey repeated) and "
        "3 to 1 (luma) have one meaning",
        fix=f"leave data.channels out to keep the {have} channels; an encoder takes any number",
    )


def to_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 (N, C, H, W) with ``channels`` channels: grey repeated, RGB as ITU-R 601 luma.

    Luma is (19595 R + 38470 G + 7471 B + 32768) >> 16, which is 0.299 R + 0.587 G + 0.114 B in
    16-bit fixed point, the numbers Pillow uses too.
    """
    have = images.shape[1]
    if have == channels:
        return images
    if (have, channels) == (1, 3):
        return images.expand(-1, 3, -1, -1)
    if (have, channels) == (3, 1):
        red, green, blue = images.to(torch.int32).unbind(1)
        luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
        return luma.to(torch.uint8).unsqueeze(1)
    raise ValueError(f"no conversion from {have} to {channels} channels")


def to_square(images: Tensor, size: int) -> Tensor:
    """uint8 (N, C, H, W) to (N, C, size, size): the whole image, resized with antialiasing.

    One that was not square is stretched; views undo it, knowing its sides.
    """
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)


def in_proportion(images: Tensor, sides: Tensor | None) -> Tensor:
    """For pictures: uint8 (N, C, H, W) that were made of this shape, in their own proportions.

    sides  integers (N, 2), height and width that they had; None: these proportions
    Returns uint8 (N, C, H, W): each as large as fits, in the middle, the rest black.
    """
    if sides is None:
        return images
    out = torch.zeros_like(images)
    height, width = images.shape[-2:]
    for image, target, (h, w) in zip(images, out, sides.tolist(), strict=True):
        scale = min(height / h, width / w)
        new_h, new_w = max(1, round(h * scale)), max(1, round(w * scale))
        top, left = (height - new_h) // 2, (width - new_w) // 2
        made = F.interpolate(image[None], size=(new_h, new_w), mode="bilinear", antialias=True)
        target[:, top : top + new_h, left : left + new_w] = made[0]
    return out


def convert(images: Tensor, channels: int | None, size: int | None) -> Tensor:
    """``to_channels`` and ``to_square``, each only if asked for."""
    if channels is not None:
        images = to_channels(images, channels)
    return images if size is None else to_square(images, size)


def converted_shape(
    shape: tuple[int, ...], channels: int | None, size: int | None
) -> tuple[int, ...]:
    """The (C, H, W) that ``convert`` makes of ``shape``."""
    return (
        channels if channels is not None else shape[0],
        size if size is not None else shape[1],
        size if size is not None else shape[2],
    )
