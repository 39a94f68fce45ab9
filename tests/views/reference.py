"""The steps of a view by torchvision's functions, one image at a time, with given parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchvision.transforms.v2 import functional as F

from viewfinder.views.render import Drawn
from viewfinder.views.steps.blur import default_kernel

JITTER = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def torchvision_view(image: Tensor, drawn: Sequence[Drawn], i: int, size: int) -> Tensor:
    """The view of one uint8 image by the steps as they were drawn for sample i."""
    x = image / 255
    for one in drawn:
        if one.selected is None or one.selected[i]:
            values = {name: value[i] for name, value in one.values.items()}
            x = STEPS[one.item.step.name](x, values, one.item.options, size)
    return x


def _crop(x: Tensor, values: dict[str, Tensor], options: Any, size: int) -> Tensor:
    return F.resized_crop(x, *values["boxes"].tolist(), size=[size, size], antialias=True)


def _jitter(x: Tensor, values: dict[str, Tensor], options: Any, size: int) -> Tensor:
    for operation in values["order"].tolist():
        x = JITTER[operation](x, values["factors"][operation].item())
    return x


def _blur(x: Tensor, values: dict[str, Tensor], options: Any, size: int) -> Tensor:
    kernel = options.kernel or default_kernel(min(x.shape[-2:]))
    return F.gaussian_blur(x, [kernel, kernel], [values["sigma"].item()] * 2)


def _normalise(x: Tensor, values: dict[str, Tensor], options: Any, size: int) -> Tensor:
    mean, std = (list(v) * (len(x) if len(v) == 1 else 1) for v in (options.mean, options.std))
    return F.normalize(x, mean, std)


STEPS = {
    "crop": _crop,
    "flip": lambda x, values, options, size: F.horizontal_flip(x),
    "jitter": _jitter,
    "grey": lambda x, values, options, size: F.rgb_to_grayscale(x, len(x)),
    "blur": _blur,
    "solarize": lambda x, values, options, size: F.solarize(x, options.threshold),
    "normalise": _normalise,
}
