"""Operations on the tones of images, a batch at a time, each image with its own parameter.

Images are float (N, C, H, W) in [0, 1], and so is what comes out. Each is equal to torchvision's
function of the same name on floats.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from viewfinder.views.steps.grey import luminance


def each(values: Tensor) -> Tensor:
    """One value per image, (N,) -> (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """``factor x + (1 - factor) other``, clamped to [0, 1]; factor (N,)."""
    return torch.lerp(other, x, each(factor)).clamp(0, 1)


def autocontrast(x: Tensor) -> Tensor:
    """Each channel is stretched to [0, 1]; one of a single value stays as it is."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    spread = high - low
    stretched = (x - low) / spread.masked_fill(spread == 0, 1)
    return torch.where(spread == 0, x, stretched.clamp(0, 1))


def equalize(x: Tensor) -> Tensor:
    """Each channel's histogram of 8 bits is made flat, as PIL does it in whole numbers."""
    n, channels, height, width = x.shape
    pixels = (x * 255.999).long().view(n * channels, -1)
    counts = x.new_zeros(n * channels, 256, dtype=torch.long)
    counts.scatter_add_(1, pixels, torch.ones_like(pixels))
    last = 255 - (counts.flip(1) > 0).int().argmax(1, keepdim=True)  # the brightest there is
    step = (height * width - counts.gather(1, last)) // 255
    below = counts.cumsum(1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    flat = table.gather(1, pixels).view_as(x).to(x.dtype) / 255
    return torch.where(step.view(n, channels, 1, 1) == 0, pixels.view_as(x).to(x.dtype) / 255, flat)


def invert(x: Tensor) -> Tensor:
    """1 - x."""
    return 1 - x


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """So many bits of each value are kept, bits (N,) from 0 (black) on."""
    levels = each(torch.exp2(bits.to(x.dtype)))
    return torch.minimum((x * levels).floor(), levels - 1) / levels


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Values from the threshold (N,) on are inverted."""
    return torch.where(x >= each(threshold), 1 - x, x)


def solarize_add(x: Tensor, added: Tensor, threshold: float = 128 / 255) -> Tensor:
    """Values below the threshold become brighter by ``added`` (N,), up to 1 (timm)."""
    return torch.where(x < threshold, (x + each(added)).clamp(max=1), x)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Away from the luminance, or towards it; factor (N,): 0 is grey, 1 the image."""
    return blend(x, luminance(x)[:, None], factor)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Away from the mean luminance, or towards it; factor (N,)."""
    return blend(x, luminance(x).mean((1, 2))[:, None, None, None], factor)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Times a factor (N,)."""
    return (x * each(factor)).clamp(0, 1)


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Away from a slightly smoothed image, or towards it; factor (N,). The border stays."""
    channels = x.shape[1]
    if min(x.shape[-2:]) <= 2:
        return x
    kernel = x.new_ones(3, 3)
    kernel[1, 1] = 5
    kernel = (kernel / 13).expand(channels, 1, 3, 3)
    smooth = x.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(x, kernel, groups=channels)
    return blend(x, smooth, factor)
