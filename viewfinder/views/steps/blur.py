"""Gaussian blur: one small matrix per sample, with the reflected border folded in."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Pixels
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Strength, Transform, Values
from viewfinder.views.options import Probability, Range, Scales


def sample_sigma(n: int, sigma: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Standard deviations uniform in ``sigma``, px: float32 (n,) on the generator's device."""
    low, high = sigma
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def default_kernel(size: int) -> int:
    """An odd side of about 10 % of the image's, as SimCLR takes it (23 at 224)."""
    side = size // 10
    return side + 1 - side % 2


def blur_matrix(sigma: Tensor, kernel: int, size: int) -> Tensor:
    """The blur of a line of ``size`` pixels as a matrix (N, size, size), one per sigma (N,).

    Row i holds ``exp(-t**2 / (2 sigma**2))``, normalised over the ``kernel`` offsets t, at the
    pixel i + t; pixels beyond the border are reflected (the border pixel itself is not repeated).
    """
    radius = kernel // 2
    offset = torch.arange(-radius, radius + 1, device=sigma.device)
    taps = torch.softmax(-0.5 * (offset.to(sigma.dtype) / sigma[:, None]) ** 2, 1)
    at = torch.arange(size, device=sigma.device) + offset[:, None]
    at = at.abs()
    at = torch.minimum(at, 2 * (size - 1) - at)
    place = torch.nn.functional.one_hot(at, size).to(sigma.dtype)
    return (taps @ place.view(kernel, size * size)).view(-1, size, size)


def gaussian_blur(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Blur each image with its own Gaussian, reflecting at the border, as torchvision does.

    images  floating (N, C, H, W)
    sigma   floating (N,), standard deviation in pixels, positive
    kernel  side of the kernel in pixels, odd, at most twice the image's side less one

    Returns (N, C, H, W). Raises ValueError for another shape, an even or a too large kernel.

    >>> gaussian_blur(torch.full((1, 1, 4, 4), 0.5), torch.tensor([1.0]), 3).unique().tolist()
    [0.5]
    """
    n, channels, height, width = images.shape
    if sigma.shape != (n,):
        raise ValueError(f"sigma has shape {tuple(sigma.shape)}; ({n},) is expected")
    if kernel % 2 == 0 or not 0 < kernel <= 2 * min(height, width) - 1:
        limit = 2 * min(height, width) - 1
        raise ValueError(f"the kernel is {kernel} pixels; an odd number up to {limit} is expected")
    sigma = sigma.to(images.dtype)
    rows = blur_matrix(sigma, kernel, height)
    columns = rows if width == height else blur_matrix(sigma, kernel, width)
    planes = images.new_empty(channels, n, height, width)
    for channel in range(channels):
        wide = torch.bmm(images[:, channel], columns.transpose(1, 2))
        torch.bmm(rows, wide, out=planes[channel])
    return planes.transpose(0, 1)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"{value} is even; an odd number is expected")
    return value


class BlurOptions(Options):
    """Equal to torchvision's GaussianBlur, applied with a probability."""

    p: Probability = Field(0.5, description="probability of Gaussian blur")
    sigma: Scales = Field((0.1, 2.0), description="standard deviation of the blur, px")
    kernel: Annotated[Pixels, AfterValidator(_odd)] | None = Field(
        None, description="side of the blur's kernel, px, odd; null: about 10 % of the size"
    )


class Blur(Transform):
    """Blurs each image with a Gaussian of its own standard deviation."""

    def __init__(self, sigma: Range, kernel: int | None) -> None:
        super().__init__()
        self.sigma, self.kernel = sigma, kernel

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """``sigma`` (n,), px."""
        return {"sigma": sample_sigma(n, self.sigma, generator)}

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        kernel = self.kernel or default_kernel(min(x.shape[-2:]))
        return gaussian_blur(x, drawn["sigma"], kernel)


def build(options: BlurOptions, domain: Domain) -> Blur:
    """The step of these options; raises UserError for a kernel that is too large for the view."""
    limit = 2 * domain.size - 1
    if options.kernel is not None and options.kernel > limit:
        raise OptionError(
            f"@blur_kernel is {options.kernel}; for views of {domain.size} px an odd number "
            f"up to {limit} is expected",
            fix=f"@blur_kernel={limit}, or null",
            own=f"{{'blur': {{'kernel': {limit}}}}}, or None",
        )
    return Blur(options.sigma, options.kernel)


def scaled(options: BlurOptions, factor: float) -> dict[str, Any]:
    """The widths by the factor; the least there is, 0.01 px, changes no pixel."""
    return {"sigma": tuple(max(0.01, factor * sigma) for sigma in options.sigma)}


BLUR = Step(
    name="blur",
    summary="Gaussian blur of random width",
    options=BlurOptions,
    bare="p",
    build=build,
    place=50,
    strength=Strength("`sigma`", scaled),
)
