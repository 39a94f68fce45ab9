"""Colour spaces that are a matrix of RGB, and what all conversions need of matrices."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

Matrix = tuple[tuple[float, ...], ...]
"""Row k holds the weights of the three inputs in output k."""

# of gamma-corrected RGB, as scikit-image has them
YUV: Matrix = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)
YIQ: Matrix = (
    (0.299, 0.587, 0.114),
    (0.59590059, -0.27455667, -0.32134392),
    (0.21153661, -0.52273617, 0.31119955),
)
YPBPR: Matrix = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
YCBCR: Matrix = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
YCBCR_OFFSET = (16.0, 128.0, 128.0)
YDBDR: Matrix = (
    (0.299, 0.587, 0.114),
    (-0.45, -0.883, 1.333),
    (-1.333, 1.116, 0.217),
)
# X, Y, Z of linear RGB (sRGB's primaries, D65), and of the primaries of CIE 1931
XYZ: Matrix = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
XYZ_OF_RGBCIE: Matrix = tuple(
    tuple(v / 0.17697 for v in row)
    for row in ((0.49, 0.31, 0.20), (0.17697, 0.81240, 0.01063), (0.00, 0.01, 0.99))
)


def mixed(planes: Tensor, weights: Matrix, offset: tuple[float, ...] | None = None) -> Tensor:
    """Weighted sums of three channels, (N, 3, H, W): out_k = sum_c weights[k][c] x_c + offset[k].

    No matrix product, which some devices round: in float64 exact to its last digits.
    """
    r, g, b = planes.unbind(1)
    rows = [(u * r).add_(g, alpha=v).add_(b, alpha=w) for u, v, w in weights]
    if offset is not None:
        rows = [row.add_(o) for row, o in zip(rows, offset, strict=True)]
    return torch.stack(rows, 1)


def unmixed(mixture: Tensor, weights: Matrix, offset: tuple[float, ...] | None = None) -> Tensor:
    """The inverse of ``mixed``."""
    if offset is not None:
        mixture = mixture - mixture.new_tensor(offset).view(1, 3, 1, 1)
    return mixed(mixture, inverse(weights))


@cache
def inverse(weights: Matrix) -> Matrix:
    """The inverse matrix, computed in float64."""
    return _matrix(torch.tensor(weights, dtype=torch.float64).inverse())


@cache
def product(first: Matrix, second: Matrix) -> Matrix:
    """The matrix of doing ``second``, then ``first``."""
    a, b = (torch.tensor(weights, dtype=torch.float64) for weights in (first, second))
    return _matrix(a @ b)


def _matrix(rows: Tensor) -> Matrix:
    return tuple(tuple(row) for row in rows.tolist())
