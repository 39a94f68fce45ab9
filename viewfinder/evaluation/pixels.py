"""Features that need no encoder, for comparison in the same protocol."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from viewfinder.data.domain import Modality
from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import batches

LARGEST = 3072  # 32 × 32 in three channels: never reduced
RAW = ("raw pixels", "raw values")
"""What features without an encoder are called: of images, and of other data."""


def raw_name(modality: Modality) -> str:
    """What the data themselves are called as features."""
    return RAW[0] if modality == "images" else RAW[1]


def raw_pixels(images: Data, *, batch_size: int = 512, largest: int = LARGEST) -> Tensor:
    """The data themselves as features, float32 (N, D): pixels in [0, 1], channel by channel, and
    what is no image as it is.

    Images of more than ``largest`` values are averaged down first (each output pixel the mean of
    the pixels it touches), both sides by one factor, to the greatest size with C·h·w ≤ largest.

    >>> raw_pixels(split.data).shape  # doctest: +SKIP
    torch.Size([5000, 3072])
    """
    if images.modality != "images":
        whole = [block.flatten(1).float() for _, block in batches(images, batch_size)]
        return torch.cat(whole)
    channels, height, width = pixel_size(images.shape, largest)
    features = torch.empty(len(images), channels * height * width)
    for index, block in batches(images, batch_size):
        pixels = block.float() / 255
        if pixels.shape[-2:] != (height, width):
            pixels = F.interpolate(pixels, size=(height, width), mode="area")
        features[index.start : index.stop] = pixels.flatten(1)
    return features


def words_of(data: Data, largest: int = LARGEST) -> str:
    """What ``raw_pixels`` gives, in words."""
    if data.modality != "images":
        return f"the {data.modality} themselves"
    return "pixels {}x{}x{}".format(*pixel_size(data.shape, largest))


def pixel_size(shape: tuple[int, ...], largest: int = LARGEST) -> tuple[int, int, int]:
    """The (C, h, w) that ``raw_pixels`` takes from images of ``shape`` (C, H, W)."""
    channels, height, width = shape
    if channels * height * width <= largest:
        return channels, height, width
    factor = math.sqrt(largest / (channels * height * width))
    return channels, max(1, int(height * factor)), max(1, int(width * factor))
