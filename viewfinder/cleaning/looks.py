"""Pictures that show little, by their pixels alone: dark, blurred, empty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from viewfinder.cleaning.outliers import unusual

DARK = 0.15
"""An image is dark where 99 of 100 of its pixels are darker than this, of 0..1."""
EMPTY = 0.02
"""... and empty where their brightness spreads less than this (standard deviation)."""
BLURRED = 0.02
"""... and blurred where detail is less than this part of all its variation, and unusually little of
it for the set: sharp objects before a plain wall have little detail too."""

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Looks:
    """Measures of N images, float32 (N,).

    brightness  the mean luma (ITU-R 601), 0 black .. 1 white
    brightest   its 99th percentile
    contrast    its standard deviation
    sharpness   the variance of what a 3x3 mean takes away, as a part of the variance of all
    """

    brightness: Tensor
    brightest: Tensor
    contrast: Tensor
    sharpness: Tensor

    @property
    def dark(self) -> Tensor:
        """bool (N,)"""
        return self.brightest < DARK

    @property
    def empty(self) -> Tensor:
        """bool (N,)"""
        return self.contrast < EMPTY

    @property
    def blurred(self) -> Tensor:
        """bool (N,), beside the other images that show something: ``unusual`` of 1 / sharpness"""
        shows = ~self.empty & ~self.dark
        found = torch.zeros_like(shows)
        found[shows] = torch.from_numpy(unusual(1 / self.sharpness[shows].clamp_min(1e-9).numpy()))
        return found & (self.sharpness < BLURRED)


def looks_of(images: Tensor) -> Looks:
    """Measures of images uint8 (n, C, H, W); of other than three channels their mean is taken."""
    x = images.float() / 255
    weights = torch.tensor(_LUMA)[:, None, None]
    luma = (x * weights).sum(1) if x.shape[1] == 3 else x.mean(1)
    flat = luma.flatten(1)
    smooth = torch.nn.functional.avg_pool2d(luma[:, None], 3, 1)[:, 0]
    detail = (luma[:, 1:-1, 1:-1] - smooth).flatten(1).var(1, correction=0)
    variance = flat.var(1, correction=0)
    return Looks(
        flat.mean(1),
        flat.quantile(0.99, dim=1),
        variance.sqrt(),
        detail / variance.clamp_min(1e-12),
    )
