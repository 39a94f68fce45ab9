"""Hue, saturation and value."""

from __future__ import annotations

import torch
from torch import Tensor


def rgb_to_hsv(rgb: Tensor) -> Tensor:
    """Hue (turns, [0, 1); 0 of greys), saturation and value of RGB, as scikit-image's ``rgb2hsv``.

    With the largest and smallest value of a pixel: V = max, S = (max - min) / max, and the hue is
    the angle of the largest (red 0, green 1/3, blue 2/3) and, by the other two, a sixth around it.

    rgb  floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W) in [0, 1]. Differentiable, but where the
    hue wraps, at greys and where two values are both the largest.

    >>> rgb_to_hsv(torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)).flatten()[1:].tolist()
    [1.0, 1.0]
    """
    red, green, blue = rgb.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    spread = high - low
    grey = spread == 0
    # what is divided by is never 0, nor is its gradient
    safe = spread.masked_fill(grey, 1)
    saturation = spread / high.masked_fill(high == 0, 1)
    angle = torch.where(green == high, 2 + (blue - red) / safe, (green - blue) / safe)
    angle = torch.where(blue == high, 4 + (red - green) / safe, angle)
    hue = ((angle / 6) % 1).masked_fill(grey, 0)
    return torch.stack([hue, saturation, high], 1)


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """RGB of hue, saturation and value: the inverse of ``rgb_to_hsv``, as ``hsv2rgb``.

    Each channel is ``V (1 - S clamp(2 - |q - 3|, 0, 1))``, q the hue in sixths of a turn from the
    opposite of its own colour. hsv floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W).
    """
    hue, saturation, value = hsv.unbind(1)
    planes = []
    for own in (5.0, 3.0, 1.0):
        turned = (own + 6 * hue) % 6
        share = torch.minimum(turned, 4 - turned).clamp(0, 1)
        planes.append(value * (1 - saturation * share))
    return torch.stack(planes, 1)
