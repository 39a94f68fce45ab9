"""The table of colour spaces: what each is made by, and what its channels are standardised with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from viewfinder.views.colours import linear
from viewfinder.views.colours.cie import (
    lab_to_rgb,
    luv_to_rgb,
    rgb_to_lab,
    rgb_to_luv,
    rgb_to_xyz,
    xyz_to_rgb,
)
from viewfinder.views.colours.hed import hed_to_rgb, rgb_to_hed
from viewfinder.views.colours.hsv import hsv_to_rgb, rgb_to_hsv
from viewfinder.views.colours.linear import Matrix, inverse, mixed, product, unmixed

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Space:
    """A colour space.

    title     as it is written in text
    channels  what its three channels are called
    of_rgb    floating (N, 3, H, W) in [0, 1] -> (N, 3, H, W), with gradient
    to_rgb    the inverse
    mean, std what its channels are standardised with. Of L*a*b*, YCbCr and YDbDr as the released
              code of CMC has them: half the width of the range over all RGB colours, around the
              middle of it (L*a*b*) or the mean of natural images. Of the others half the width,
              around the middle
    lossy     ``to_rgb`` gives some colours back as others
    """

    title: str
    channels: str
    of_rgb: Callable[[Tensor], Tensor]
    to_rgb: Callable[[Tensor], Tensor]
    mean: Triple
    std: Triple
    lossy: bool = False


def _by(
    title: str,
    channels: str,
    weights: Matrix,
    mean: Triple,
    std: Triple,
    offset: Triple | None = None,
) -> Space:
    """A space that is a matrix of RGB."""
    there, back = (partial(f, weights=weights, offset=offset) for f in (mixed, unmixed))
    return Space(title, channels, there, back, mean, std)


SPACES: dict[str, Space] = {
    "rgb": Space("RGB", "R, G and B", torch.clone, torch.clone, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "lab": Space(
        "CIELAB",
        "L, a and b",
        rgb_to_lab,
        lab_to_rgb,
        (50.0, 6.025, -6.6895),
        (50.0, 92.208, 101.1675),
    ),
    "luv": Space(
        "CIELUV",
        "L, u and v",
        rgb_to_luv,
        luv_to_rgb,
        (50.0, 45.968, -13.348),
        (50.0, 129.046, 120.747),
    ),
    "hsv": Space("HSV", "H, S and V", rgb_to_hsv, hsv_to_rgb, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "hed": Space(
        "HED",
        "the three stains",
        rgb_to_hed,
        hed_to_rgb,
        (0.939, 0.567, 0.787),
        (0.939, 0.567, 0.787),
        lossy=True,
    ),
    "xyz": Space(
        "XYZ", "X, Y and Z", rgb_to_xyz, xyz_to_rgb, (0.4752, 0.5, 0.5444), (0.4752, 0.5, 0.5444)
    ),
    "yuv": _by("YUV", "Y, U and V", linear.YUV, (0.5, 0.0, 0.0), (0.5, 0.436, 0.615)),
    "yiq": _by("YIQ", "Y, I and Q", linear.YIQ, (0.5, 0.0, 0.0), (0.5, 0.5959, 0.5227)),
    "ycbcr": _by(
        "YCbCr",
        "Y, Cb and Cr",
        linear.YCBCR,
        (116.151, 121.080, 132.342),
        (109.5, 111.855, 111.964),
        offset=linear.YCBCR_OFFSET,
    ),
    "ypbpr": _by("YPbPr", "Y, Pb and Pr", linear.YPBPR, (0.5, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "ydbdr": _by(
        "YDbDr", "Y, Db and Dr", linear.YDBDR, (0.457, -0.082, -0.052), (0.5, 1.331, 1.333)
    ),
    "rgbcie": _by(
        "the RGB of CIE 1931",
        "R, G and B",
        product(inverse(linear.XYZ_OF_RGBCIE), linear.XYZ),
        (0.0744, 0.0914, 0.0964),
        (0.0891, 0.0914, 0.0964),
    ),
}
