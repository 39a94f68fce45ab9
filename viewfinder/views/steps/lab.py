"""From sRGB to CIE L*a*b*, and back."""

from __future__ import annotations

from functools import cache

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Transform, Values
from viewfinder.views.options import Deviations, Means
from viewfinder.views.steps.normalise import Normalise, check_statistics

# X, Y, Z of linear RGB, and of white (D65, 2 degree observer)
XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)
# where the cube root goes over into a line, and the line
KNEE, SLOPE, OFFSET = 0.008856, 7.787, 16 / 116
# of L, a and b over natural images, as the released code of CMC standardises them
MEAN, STD = (50.0, 6.025, -6.6895), (50.0, 92.208, 101.1675)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE L*a*b* (D65, 2 degree observer) of sRGB values, equal to scikit-image's ``rgb2lab``.

    With linear values l = ((v + 0.055) / 1.055)^2.4 (v / 12.92 up to 0.04045), (X, Y, Z) = A l over
    those of white, and f(t) = t^(1/3) (7.787 t + 16/116 up to 0.008856):
    ``L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z))``.

    rgb  floating (N, 3, H, W) in [0, 1]
    Returns (N, 3, H, W): L in [0, 100], a and b between about -110 and 110. Differentiable.

    >>> rgb_to_lab(torch.ones(1, 3, 1, 1)).flatten().round().abs().tolist()
    [100.0, 0.0, 0.0]
    """
    curve = ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    linear = torch.where(rgb > 0.04045, curve, rgb / 12.92)
    xyz = _mixed(
        linear, tuple(tuple(v / w for v in row) for row, w in zip(XYZ, WHITE, strict=True))
    )
    # the clamp keeps an infinite slope at 0 out of the branch that is not taken
    f = torch.where(xyz > KNEE, xyz.clamp(min=KNEE) ** (1 / 3), SLOPE * xyz + OFFSET)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB values of CIE L*a*b*, cut to [0, 1]: the inverse of ``rgb_to_lab``.

    Equal to scikit-image's ``lab2rgb``. lab floating (N, 3, H, W) -> (N, 3, H, W).
    """
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    f = torch.stack([a / 500 + y, y, (y - b / 200).clamp(min=0)], 1)
    xyz = torch.where(f > 0.2068966, f.clamp(min=0.2) ** 3, (f - OFFSET) / SLOPE)
    xyz = xyz * xyz.new_tensor(WHITE).view(1, 3, 1, 1)
    linear = _mixed(xyz, _inverse())
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, linear * 12.92).clamp(0, 1)


def _mixed(planes: Tensor, weights: tuple[tuple[float, ...], ...]) -> Tensor:
    """Weighted sums of the three channels: in float64 exact to its last digits, on any device."""
    r, g, b = planes.unbind(1)
    return torch.stack([u * r + v * g + w * b for u, v, w in weights], 1)


@cache
def _inverse() -> tuple[tuple[float, ...], ...]:
    rows = torch.tensor(XYZ, dtype=torch.float64).inverse().tolist()
    return tuple(tuple(row) for row in rows)


class LabOptions(Options):
    """What L, a and b are standardised with; by default as the released code of CMC does."""

    mean: Means = Field(MEAN, description="subtracted from L, a and b")
    std: Deviations = Field(STD, description="L, a and b are divided by it")


class Lab(Transform):
    """L*a*b* of RGB images, each channel standardised, so no normalisation need follow."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.standardise = Normalise(mean, std)

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return self.standardise(rgb_to_lab(x), drawn)

    def inverse(self, x: Tensor) -> Tensor:
        """RGB in [0, 1]."""
        return lab_to_rgb(self.standardise.inverse(x))


def build(options: LabOptions, domain: Domain) -> Lab:
    """The step of these options; raises UserError where they have neither one value nor three."""
    check_statistics(options.mean, options.std, 3, "lab_")
    return Lab(options.mean, options.std)


def channels(options: LabOptions) -> tuple[int, ...]:
    """Colour."""
    return (3,)


LAB = Step(
    name="lab",
    summary="from sRGB to L*a*b*, standardised; what evaluation sees too",
    paper="Tian et al. 2020 (CMC)",
    options=LabOptions,
    build=build,
    channels=channels,
    unit=True,
    keeps_unit=False,
    frozen=True,
    gradient=True,
    place=80,
)
