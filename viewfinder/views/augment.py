"""One view of an image as data, and views of whole batches on the batch's device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.views.blur import default_kernel
from viewfinder.views.chunks import chunks, run_all
from viewfinder.views.crop import resize_matrix
from viewfinder.views.render import draw, normalize_, render_tasks

Range = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(BaseModel):
    """How one view is made, in this order: crop, flip, jitter, grey, blur, solarise, normalise.

    The fields mean what they mean in torchvision's RandomResizedCrop, RandomHorizontalFlip,
    ColorJitter, RandomGrayscale, GaussianBlur, RandomSolarize and Normalize. Only ``size`` has no
    default; the defaults change nothing but the size: centre square, no colour change, values to
    [-1, 1].

    >>> Augmentation(size=32, crop_scale=(0.2, 1.0), crop_ratio=(3 / 4, 4 / 3), flip_p=0.5).grey_p
    0.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=4, description="side of the view, px")
    crop_scale: Range = Field((1.0, 1.0), description="area of the crop, fractions of the image")
    crop_ratio: Range = Field((1.0, 1.0), description="width / height of the crop")
    flip_p: Probability = Field(0.0, description="probability of mirroring left and right")
    jitter: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0), description="strength of brightness, contrast, saturation, hue jitter"
    )
    jitter_p: Probability = Field(0.0, description="probability of colour jitter")
    grey_p: Probability = Field(0.0, description="probability of turning grey")
    blur_p: Probability = Field(0.0, description="probability of Gaussian blur")
    blur_sigma: Range = Field((0.1, 2.0), description="standard deviation of the blur, px")
    blur_kernel: int | None = Field(
        None, description="side of the blur's kernel, px, odd; null: about 10 % of the size"
    )
    solarize_p: Probability = Field(0.0, description="probability of solarising")
    solarize_threshold: Probability = Field(
        0.5, description="values from here on are inverted; 0..1 (128 of 255 is 0.5)"
    )
    mean: tuple[float, ...] = Field((0.5,), description="subtracted; one value or one a channel")
    std: tuple[float, ...] = Field((0.5,), description="divided by; one value or one a channel")

    @field_validator("crop_scale", "crop_ratio", "blur_sigma")
    @classmethod
    def _increasing(cls, value: Range) -> Range:
        if not 0 < value[0] <= value[1]:
            raise ValueError(f"{value} is not a range: 0 < low <= high is expected")
        return value

    @field_validator("crop_scale")
    @classmethod
    def _within_image(cls, value: Range) -> Range:
        if value[1] > 1:
            raise ValueError(f"{value} is larger than the image; fractions up to 1 are expected")
        return value

    @field_validator("jitter")
    @classmethod
    def _strengths(cls, value: tuple[float, float, float, float]) -> tuple[float, ...]:
        if min(value) < 0 or value[3] > 0.5:
            raise ValueError(f"{value}: strengths of at least 0, hue at most 0.5, are expected")
        return value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(v > 0 for v in value):
            raise ValueError(f"{value}: positive numbers are expected")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        limit = 2 * self.size - 1
        if self.blur_kernel is not None and (
            self.blur_kernel % 2 == 0 or not 0 < self.blur_kernel <= limit
        ):
            raise ValueError(
                f"blur_kernel is {self.blur_kernel}; an odd number up to {limit} is expected"
            )
        if not self.mean or not self.std:
            raise ValueError("mean and std need one value, or one for each channel")
        return self

    @property
    def jitters(self) -> bool:
        """Whether colour jitter does anything."""
        return self.jitter_p > 0 and any(self.jitter)

    @property
    def kernel(self) -> int:
        """Side of the blur's kernel in pixels."""
        return self.blur_kernel or default_kernel(self.size)


def apply(augmentation: Augmentation, images: Tensor, generator: torch.Generator) -> Tensor:
    """One view of each image: ``make_views`` with one augmentation.

    images uint8 (N, C, H, W) -> float32 (N, C, size, size), normalised.
    """
    return make_views(images, [augmentation], generator)[0]


def make_views(
    images: Tensor, augmentations: Sequence[Augmentation], generator: torch.Generator
) -> list[Tensor]:
    """One view of each image by each augmentation, on the images' device.

    images         uint8 (N, C, H, W); C = 1 or 3, or any C without saturation, hue and grey
    augmentations  one a view
    generator      on the images' device; the views depend on it and the images alone

    Returns float32 (N, C, size, size) tensors, ``(x - mean) / std`` of x in [0, 1].
    Raises ValueError for another shape, dtype or device, UserError where an augmentation does not
    fit the number of channels.

    >>> images = torch.randint(0, 256, (8, 3, 40, 40), dtype=torch.uint8)
    >>> view = Augmentation(size=32, crop_scale=(0.2, 1.0), flip_p=0.5)
    >>> first, second = make_views(images, [view, view], torch.Generator().manual_seed(0))
    >>> first.shape
    torch.Size([8, 3, 32, 32])
    """
    _check_images(images)
    if generator.device.type != images.device.type:
        raise ValueError(
            f"the generator is on {generator.device}, the images are on {images.device}; "
            "one device is expected"
        )
    n, channels, height, width = images.shape
    for augmentation in augmentations:
        _check_channels(augmentation, channels)
    views: list[Tensor] = []

    def prepare() -> list[Callable[[], None]]:
        tasks = []
        for augmentation in augmentations:
            drawn = draw(augmentation, n, height, width, generator)
            side = augmentation.size
            views.append(torch.empty(n, channels, side, side, device=images.device))
            tasks += render_tasks(augmentation, images, drawn, views[-1])
        return tasks

    (tasks,) = run_all([prepare], images.device)
    run_all(tasks, images.device)
    return views


def evaluation_view(
    images: Tensor, size: int, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """The view without chance: resize the shorter side to ``size``, cut the centre, normalise.

    Equal to torchvision's Resize, CenterCrop and Normalize, on floats (nothing is rounded to 8
    bits).

    images uint8 (N, C, H, W) -> float32 (N, C, size, size), ``(x - mean) / std`` of x in [0, 1];
    mean and std have one value, or one a channel.
    Raises ValueError for another shape or dtype, UserError where mean or std do not fit.
    """
    _check_images(images)
    n, channels, height, width = images.shape
    _check_statistics(mean, std, channels)
    out = torch.empty(n, channels, size, size, device=images.device)
    short = min(height, width)
    columns, rows = (
        _centre_matrix(side, size * side // short, size).to(images.device)
        for side in (width, height)
    )

    @torch.no_grad()
    def task(part: slice) -> None:
        x = images[part].float()
        with torch.autocast(images.device.type, enabled=False):
            if (height, width) != (size, size):
                x = torch.matmul(rows, torch.matmul(x, columns.T))
        out[part] = normalize_(x.div_(255), mean, std)

    parts = chunks(n, max(images[:1].numel(), out[:1].numel()), images.device)
    run_all([functools.partial(task, part) for part in parts], images.device)
    return out


def _centre_matrix(full: int, resized: int, size: int) -> Tensor:
    """Weights (size, full) that resize a line to ``resized`` and keep its central ``size``."""
    matrix = resize_matrix(torch.zeros(1), torch.tensor([float(full)]), full, resized)[0]
    start = round((resized - size) / 2)
    return matrix[start : start + size]


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; "
            "uint8 (N, C, H, W) is expected"
        )


def _check_statistics(mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise UserError(
                f"views.{name} has {len(values)} values, the images have {channels} channels; "
                f"one value or {channels} are expected",
                fix=f"views.{name}=[0.5]",
            )


def _check_channels(augmentation: Augmentation, channels: int) -> None:
    """Refuse what is defined for colour images only."""
    _check_statistics(augmentation.mean, augmentation.std, channels)
    if channels in (1, 3):
        return
    if augmentation.grey_p > 0:
        raise UserError(
            f"turning images grey needs 3 channels (or 1, which it leaves as it is), the images "
            f"have {channels}",
            fix="views.grey_p=0",
        )
    brightness, contrast, saturation, hue = augmentation.jitter
    if augmentation.jitter_p > 0 and (saturation or hue):
        raise UserError(
            f"saturation and hue jitter need 3 channels (or 1, which they leave as it is), the "
            f"images have {channels}",
            fix=f"views.jitter=[{brightness},{contrast},0,0]",
        )
