"""The spaces of the CIE: XYZ, L*a*b* and L*u*v* of sRGB values, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from viewfinder.views.colours.linear import XYZ, Matrix, mixed, unmixed

WHITE = (0.95047, 1.0, 1.08883)  # X, Y, Z of D65 for the 2 degree observer
# where the cube root goes over into a line, the line, and L of luminance below it
KNEE, SLOPE, OFFSET, DARK = 0.008856, 7.787, 16 / 116, 903.3
XYZ_OVER_WHITE: Matrix = tuple(
    tuple(v / white for v in row) for row, white in zip(XYZ, WHITE, strict=True)
)
# u' and v' of white
_SUM = WHITE[0] + 15 * WHITE[1] + 3 * WHITE[2]
WHITE_U, WHITE_V = 4 * WHITE[0] / _SUM, 9 * WHITE[1] / _SUM


def power(x: Tensor, exponent: float) -> Tensor:
    """x ** exponent of positive x, on a CPU in half the time of torch.pow."""
    return x.log().mul_(exponent).exp_()


def rgb_to_xyz(rgb: Tensor) -> Tensor:
    """CIE XYZ of sRGB values, equal to scikit-image's ``rgb2xyz``: A l of the linear values
    ``l = ((v + 0.055) / 1.055)^2.4``, v / 12.92 up to 0.04045.

    rgb  floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W); Y of white is 1. Differentiable.
    """
    return mixed(linear_of(rgb), XYZ)


def linear_of(rgb: Tensor) -> Tensor:
    """sRGB values without their gamma curve."""
    curve = power((rgb + 0.055).mul_(1 / 1.055), 2.4)
    return torch.where(rgb > 0.04045, curve, rgb / 12.92)


def xyz_to_rgb(xyz: Tensor) -> Tensor:
    """sRGB values of CIE XYZ, cut to [0, 1]: the inverse of ``rgb_to_xyz``, as ``xyz2rgb``."""
    linear = unmixed(xyz, XYZ)
    curve = 1.055 * power(linear.clamp(min=0.0031308), 1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, linear * 12.92).clamp(0, 1)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (D65, 2 degree observer) of sRGB values, equal to scikit-image's ``rgb2lab``.

    With (X, Y, Z) over those of white, and f(t) = t^(1/3) (7.787 t + 16/116 up to 0.008856):
    ``L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z))``.

    rgb  floating (N, 3, H, W) in [0, 1]
    Returns (N, 3, H, W): L in [0, 100], a and b between about -110 and 110. Differentiable.

    >>> rgb_to_lab(torch.ones(1, 3, 1, 1)).flatten().round().abs().tolist()
    [100.0, 0.0, 0.0]
    """
    xyz = mixed(linear_of(rgb), XYZ_OVER_WHITE)
    # the clamp keeps an infinite slope at 0 out of the branch that is not taken
    root = power(xyz.clamp(min=KNEE), 1 / 3)
    x, y, z = torch.where(xyz > KNEE, root, (SLOPE * xyz).add_(OFFSET)).unbind(1)
    return torch.stack([(116 * y).sub_(16), (x - y).mul_(500), (y - z).mul_(200)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB values of CIE L*a*b*, cut to [0, 1]: the inverse of ``rgb_to_lab``.

    Equal to scikit-image's ``lab2rgb``. lab floating (N, 3, H, W) -> (N, 3, H, W).
    """
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    f = torch.stack([a / 500 + y, y, (y - b / 200).clamp(min=0)], 1)
    xyz = torch.where(f > 0.2068966, f.clamp(min=0.2) ** 3, (f - OFFSET) / SLOPE)
    return xyz_to_rgb(xyz * xyz.new_tensor(WHITE).view(1, 3, 1, 1))


def rgb_to_luv(rgb: Tensor) -> Tensor:
    """CIE L*u*v* (D65, 2 degree observer) of sRGB values, equal to scikit-image's ``rgb2luv``.

    L as of L*a*b* (903.3 Y up to Y = 0.008856); with ``u' = 4 X / (X + 15 Y + 3 Z)`` and
    ``v' = 9 Y / (X + 15 Y + 3 Z)``: ``u = 13 L (u' - u'_white)``, v likewise; 0 of black.

    rgb  floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W): L in [0, 100], u between about -83 and
    175, v between about -134 and 107. Differentiable.
    """
    x, y, z = rgb_to_xyz(rgb).unbind(1)
    light = torch.where(y > KNEE, 116 * power(y.clamp(min=KNEE), 1 / 3) - 16, DARK * y)
    total = x + 15 * y + 3 * z + torch.finfo(rgb.dtype).eps
    u, v = 13 * light * (4 * x / total - WHITE_U), 13 * light * (9 * y / total - WHITE_V)
    return torch.stack([light, u, v], 1)


def luv_to_rgb(luv: Tensor) -> Tensor:
    """sRGB values of CIE L*u*v*, cut to [0, 1]: the inverse of ``rgb_to_luv``.

    Equal to scikit-image's ``luv2rgb``. luv floating (N, 3, H, W) -> (N, 3, H, W).
    """
    light, u, v = luv.unbind(1)
    y = torch.where(light > 7.999625, ((light + 16) / 116) ** 3, light / DARK)
    scale = 13 * light + torch.finfo(luv.dtype).eps
    a, b = WHITE_U + u / scale, WHITE_V + v / scale
    c = 3 * y * (5 * b - 3)
    z = ((a - 4) * c - 15 * a * b * y) / (12 * b)
    return xyz_to_rgb(torch.stack([-(c / b + 3 * z), y, z], 1))
