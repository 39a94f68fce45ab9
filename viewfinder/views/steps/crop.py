"""Random resized crop and flip: one pair of small matrices per sample.

Cropping a box, resizing it with antialiased bilinear weights and flipping it are linear in the
image and separable, so all three together are ``out = Wy @ image @ Wx.T``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Cutting, Step, Strength, Values
from viewfinder.views.options import Areas, Range, Scales

SMALLEST = 1e-6  # the smallest area that an option may have
TRIES = 10  # as torchvision's RandomResizedCrop: the first box of ten that fits, else the centre


def sample_crops(
    n: int,
    height: int | Tensor,
    width: int | Tensor,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Boxes of random area and aspect ratio, as torchvision's RandomResizedCrop draws them.

    The area is uniform in ``scale`` (fractions of the image), the ratio width/height log-uniform in
    ``ratio``, the place uniform. Where none of ten tries fits, the largest centred box whose ratio
    is within ``ratio`` is taken.

    height, width  of all images; or of each, integers (n,)

    Returns int64 (n, 4): top, left, height, width in pixels, on the generator's device.

    >>> sample_crops(2, 32, 32, (1.0, 1.0), (1.0, 1.0), torch.Generator().manual_seed(0)).tolist()
    [[0, 0, 32, 32], [0, 0, 32, 32]]
    """
    device = generator.device
    each_h, each_w = (x[:, None] if isinstance(x, Tensor) else x for x in (height, width))
    area, aspect = torch.rand(2, n, TRIES, generator=generator, device=device)
    area = (area * (scale[1] - scale[0]) + scale[0]) * (each_h * each_w)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (aspect * (high - low) + low).exp()
    w, h = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (w > 0) & (w <= each_w) & (h > 0) & (h <= each_h)
    first = fits.int().argmax(1, keepdim=True)

    centre_h, centre_w = _central_box(height, width, ratio)
    found = fits.any(1)
    h = torch.where(found, h.gather(1, first)[:, 0], centre_h)
    w = torch.where(found, w.gather(1, first)[:, 0], centre_w)
    free = torch.stack([height - h, width - w])
    place = torch.rand(2, n, generator=generator, device=device)
    # float32 can round u * (free + 1) up to free + 1 itself
    drawn = torch.minimum((place * (free + 1)).floor(), free)
    top, left = torch.where(found, drawn, (free / 2).floor())
    return torch.stack([top, left, h, w], 1).long()


def _central_box(
    height: int | Tensor, width: int | Tensor, ratio: tuple[float, float]
) -> tuple[int, int] | tuple[Tensor, Tensor]:
    """Height and width of the largest box whose ratio width/height lies within ``ratio``."""
    if isinstance(height, Tensor) or isinstance(width, Tensor):
        h, w = torch.as_tensor(height), torch.as_tensor(width)
        low = (w / ratio[0]).round().clamp(min=1)
        high = (h * ratio[1]).round().clamp(min=1)
        return torch.where(w / h < ratio[0], low, h), torch.where(w / h > ratio[1], high, w)
    if width / height < ratio[0]:
        return max(1, round(width / ratio[0])), width
    if width / height > ratio[1]:
        return height, max(1, round(height * ratio[1]))
    return height, width


def resize_matrix(
    start: Tensor,
    length: Tensor,
    full: int,
    size: int,
    flip: Tensor | None = None,
    *,
    bounded: bool = True,
) -> Tensor:
    """Weights that resize the pixels [start, start + length) of a line of ``full`` to ``size``.

    Antialiased bilinear: output i is the mean of the inputs j weighted by a triangle around
    ``(i + 1/2) * length / size`` whose half-width is ``max(1, length / size)`` input pixels;
    each row sums to 1. Pixels that the box does not touch have weight zero, as where it was cut out
    before it is resized; not ``bounded``, those around it count too, as where it is cut afterwards.

    start, length  floating (N,), in pixels;  flip  bool (N,): reverse the output
    Returns (N, size, full) in the dtype of ``length``.
    """
    dtype, device = length.dtype, length.device
    scale = (length / size)[:, None]
    narrow = 1 / scale.clamp(min=1)
    output = torch.arange(size, dtype=dtype, device=device) + 0.5
    if flip is not None:
        output = torch.where(flip[:, None], size - output, output)
    pixel = torch.arange(full, dtype=dtype, device=device) - start[:, None]
    outside = (pixel <= -1) | (pixel >= length[:, None])
    pixel = (pixel + 0.5) * narrow
    if bounded:  # an infinite distance gives weight 0 without another pass over the large array
        pixel = pixel.masked_fill_(outside, math.inf)
    distance = (pixel[:, None, :] - (output * scale * narrow)[:, :, None]).abs_()
    negative = distance.clamp_(max=1).sub_(1)
    return negative.div_(negative.sum(2, keepdim=True))


def resized_crop(
    images: Tensor,
    boxes: Tensor,
    size: int,
    flip: Tensor | None = None,
    *,
    bounded: bool = True,
) -> Tensor:
    """Cut a box out of each image, resize it to ``size`` x ``size`` and flip it where asked.

    Equal to torchvision's ``resized_crop(..., antialias=True)``, but on floats: nothing is rounded
    to 8 bits.

    images  uint8 (N, C, H, W), or floating
    boxes   (N, 4): top, left, height, width in pixels, whole or not, inside the image
    flip    bool (N,), mirror left and right
    bounded see ``resize_matrix``
    Returns (N, C, size, size): float32 in [0, 1] of uint8, else the dtype and range of ``images``.
    Its memory holds one plane per channel, which the colour operations are fastest on.

    Raises ValueError for other shapes.

    >>> row = torch.tensor([0.0, 1.0, 2.0, 3.0])
    >>> resized_crop(row.expand(1, 1, 4, 4), torch.tensor([[0, 2, 2, 2]]), 2)[0, 0].tolist()
    [[2.0, 3.0], [2.0, 3.0]]
    """
    if images.ndim != 4:
        raise ValueError(f"images have shape {tuple(images.shape)}; (N, C, H, W) is expected")
    n, channels, height, width = images.shape
    if boxes.shape != (n, 4):
        raise ValueError(f"boxes have shape {tuple(boxes.shape)}; ({n}, 4) is expected")
    pixels = images if images.is_floating_point() else images.float()
    top, left, h, w = boxes.to(pixels.dtype).unbind(1)
    rows = resize_matrix(top, h, height, size, bounded=bounded)
    columns = resize_matrix(left, w, width, size, flip, bounded=bounded)
    if not images.is_floating_point():
        rows.div_(255)

    wide = torch.bmm(pixels.reshape(n, channels * height, width), columns.transpose(1, 2))
    wide = wide.view(n, channels, height, size)
    planes = pixels.new_empty(channels, n, size, size)
    for channel in range(channels):  # one batched product per plane spares a copy of ``rows``
        torch.bmm(rows, wide[:, channel], out=planes[channel])
    return planes.transpose(0, 1)


class CropOptions(Options):
    """Equal to torchvision's RandomResizedCrop."""

    scale: Areas = Field((0.08, 1.0), description="area of the crop, fractions of the image")
    ratio: Scales = Field((3 / 4, 4 / 3), description="width / height of the crop")


class Crop(Cutting):
    """Cuts a random box out of each image and resizes it to the view's size."""

    def __init__(self, size: int, scale: Range, ratio: Range) -> None:
        super().__init__()
        self.size, self.scale, self.ratio = size, scale, ratio

    def draw(
        self, n: int, domain: Domain, generator: torch.Generator, sides: Tensor | None = None
    ) -> Values:
        """``boxes`` (n, 4), see ``sample_crops``: drawn on the images as they were."""
        _, height, width = domain.shape
        if sides is None:
            return {"boxes": sample_crops(n, height, width, self.scale, self.ratio, generator)}
        h, w = sides.unbind(1)
        boxes = sample_crops(n, h, w, self.scale, self.ratio, generator)
        return {"boxes": boxes * torch.stack([height / h, width / w], 1).repeat(1, 2)}

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        return resized_crop(x, drawn["boxes"], self.size)

    def gives(self, domain: Domain) -> Domain:
        return replace(domain, shape=(domain.channels, self.size, self.size))


def build(options: CropOptions, domain: Domain) -> Crop:
    """The step of these options."""
    return Crop(domain.size, options.scale, options.ratio)


def scaled(options: CropOptions, factor: float) -> dict[str, Any]:
    """Areas and ratios are sizes beside the whole: a factor is a power of them."""
    low, high = (max(SMALLEST, area**factor) for area in options.scale)
    narrow, wide = (min(100.0, max(0.01, ratio**factor)) for ratio in options.ratio)
    return {"scale": (low, high), "ratio": (narrow, wide)}


CROP = Step(
    name="crop",
    summary="a box of random area, shape and place, resized to the view",
    options=CropOptions,
    bare="scale",
    build=build,
    mirrors=False,
    fuses="crop",
    place=10,
    strength=Strength("area and ratio, to its power: 0 is the whole image", scaled),
)
