"""The stains of histology: haematoxylin, eosin and DAB."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from viewfinder.views.colours.linear import Matrix, inverse, mixed

LEAST = 1e-6  # RGB values below count as it: there is no logarithm of 0
LOG = math.log(LEAST)
STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))  # RGB absorbed by each


def rgb_to_hed(rgb: Tensor) -> Tensor:
    """Amounts of three stains by Ruifrok and Johnston 2001, equal to scikit-image's ``rgb2hed``.

    ``max(0, (log(rgb) / log(1e-6)) M^-1)``, the rows of M the RGB absorbed by each stain. Amounts
    below 0, of colours that no mixture has, are cut: there the way back gives another colour.

    rgb  floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W). Differentiable.
    """
    absorbed = torch.log(rgb.clamp(min=LEAST)) / LOG
    return mixed(absorbed, _columns(inverse(STAINS))).clamp(min=0)


def hed_to_rgb(hed: Tensor) -> Tensor:
    """RGB of a mixture of stains, cut to [0, 1]: equal to scikit-image's ``hed2rgb``."""
    return torch.exp(mixed(hed * LOG, _columns(STAINS))).clamp(0, 1)


def _columns(weights: Matrix) -> Matrix:
    """A matrix for row vectors as one for columns."""
    return tuple(zip(*weights, strict=True))
