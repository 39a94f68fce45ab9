"""Features that need no encoder, for comparison in the same protocol."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import batches

LARGEST = 3072  # 32 × 32 in three channels: never reduced


def raw_pixels(images: Data, *, batch_size: int = 512, largest: int = LARGEST) -> Tensor:
    """The pixels themselves as features, float32 (N, D) in [0, 1], channel by channel.

    Images of more than ``largest`` values are averaged down first (each output pixel the mean of
    the pixels it touches), both sides by one factor, to the greatest size with C·h·w ≤ largest.

    >>> raw_pixels(split.data).shape  # doctest: +SKIP
    torch.Size([5000, 3072])
    """
    channels, height, width = pixel_size(images.shape, largest)
    features = torch.empty(len(images), channels * height * width)
    for index, block in batches(images, batch_size):
        pixels = block.float() / 255
        if pixels.shape[-2:] != (height, width):
            pixels = F.interpolate(pixels, size=(height, width), mode="area")
        features[index.start : index.stop] = pixels.flatten(1)
    return features


def pixel_size(shape: tuple[int, ...], largest: int = LARGEST) -> tuple[int, int, int]:
    """The (C, h, w) that ``raw_pixels`` takes from images of ``shape`` (C, H, W)."""
    channels, height, width = shape
    if channels * height * width <= largest:
        return channels, height, width
    factor = math.sqrt(largest / (channels * height * width))
    return channels, max(1, int(height * factor)), max(1, int(width * factor))
