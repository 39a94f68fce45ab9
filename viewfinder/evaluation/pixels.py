"""Features that need no encoder, for comparison in the same protocol."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.data.domain import Modality
from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import batches
from viewfinder.views.frozen import large, seen

LARGEST = 3072  # 32 × 32 in three channels: never reduced
RAW = ("raw pixels", "raw values")
"""What features without an encoder are called: of images, and of other data."""


def raw_name(modality: Modality) -> str:
    """What the data themselves are called as features."""
    return RAW[0] if modality == "images" else RAW[1]


def raw_pixels(
    images: Data, *, batch_size: int = 512, largest: int = LARGEST, size: int | None = None
) -> Tensor:
    """The data themselves as features, float32 (N, D): pixels in [0, 1], channel by channel, and
    what is no image as it is.

    The part of each image that an evaluation sees by views of ``size`` px: the whole of it, or the
    centre where they are large (``viewfinder.views.frozen.seen_boxes``). None: the whole.

    Images of more than ``largest`` values are averaged down first (each output pixel the mean of
    the pixels it touches), both sides by one factor, to the greatest size with C·h·w ≤ largest.

    >>> raw_pixels(split.data).shape  # doctest: +SKIP
    torch.Size([5000, 3072])
    """
    if images.modality != "images":
        whole = [block.flatten(1).float() for _, block, _ in batches(images, batch_size)]
        return torch.cat(whole)
    channels, height, width = pixel_size(_part(images.shape, size), largest)
    features = torch.empty(len(images), channels * height * width)
    for index, block, sides in batches(images, batch_size):
        if size is not None and large(size):
            pixels = seen(block, size, channels, lambda x: x, sides)
        else:
            pixels = block.float() / 255
        if pixels.shape[-2:] != (height, width):
            pixels = F.interpolate(pixels, size=(height, width), mode="area")
        features[index.start : index.stop] = pixels.flatten(1)
    return features


def _part(shape: tuple[int, ...], size: int | None) -> tuple[int, ...]:
    """The (C, H, W) of what an evaluation sees, before it is reduced."""
    return (shape[0], size, size) if size is not None and large(size) else shape


def words_of(data: Data, largest: int = LARGEST, size: int | None = None) -> str:
    """What ``raw_pixels`` gives, in words."""
    if data.modality != "images":
        return f"the {data.modality} themselves"
    return "pixels {}x{}x{}".format(*pixel_size(_part(data.shape, size), largest))


def pixel_size(shape: tuple[int, ...], largest: int = LARGEST) -> tuple[int, int, int]:
    """The (C, h, w) that ``raw_pixels`` takes from images of ``shape`` (C, H, W)."""
    channels, height, width = shape
    if channels * height * width <= largest:
        return channels, height, width
    factor = math.sqrt(largest / (channels * height * width))
    return channels, max(1, int(height * factor)), max(1, int(width * factor))
