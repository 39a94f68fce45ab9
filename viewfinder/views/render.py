"""From an augmentation to the views of a batch: first draw the parameters, then apply them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from viewfinder.views.blur import gaussian_blur, sample_sigma
from viewfinder.views.chunks import chunks
from viewfinder.views.color import GROUPS, Jitter, grey, sample_jitter, solarize
from viewfinder.views.crop import resized_crop, sample_crops

if TYPE_CHECKING:
    from viewfinder.views.augment import Augmentation


@dataclass(frozen=True)
class Draw:
    """What was drawn for each sample of a batch: everything that is random about a view."""

    boxes: Tensor  # int64 (N, 4): top, left, height, width
    flip: Tensor  # bool (N,)
    jitter: Tensor  # bool (N,)
    factors: Tensor  # float32 (N, 4): brightness, contrast, saturation, hue
    order: Tensor  # int64 (N, 4)
    grey: Tensor  # bool (N,)
    blur: Tensor  # bool (N,)
    sigma: Tensor  # float32 (N,)
    solarize: Tensor  # bool (N,)

    def __getitem__(self, index: Tensor | slice) -> Draw:
        return Draw(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def draw(
    augmentation: Augmentation, n: int, height: int, width: int, generator: torch.Generator
) -> Draw:
    """Draw the parameters of n views of images of height x width, on the generator's device.

    Every parameter is drawn, also where its probability is 0, so a change of one part leaves the
    draws of the others as they were.
    """
    boxes = sample_crops(
        n, height, width, augmentation.crop_scale, augmentation.crop_ratio, generator
    )
    factors, order = sample_jitter(n, augmentation.jitter, generator)
    sigma = sample_sigma(n, augmentation.blur_sigma, generator)
    p = augmentation
    chance = torch.rand(5, n, generator=generator, device=generator.device)
    probability = (p.flip_p, p.jitter_p, p.grey_p, p.blur_p, p.solarize_p)
    flip, jitter, grey_, blur, solarize_ = (u < q for u, q in zip(chance, probability, strict=True))
    return Draw(boxes, flip, jitter, factors, order, grey_, blur, sigma, solarize_)


def render_tasks(
    augmentation: Augmentation, images: Tensor, drawn: Draw, out: Tensor
) -> list[Callable[[], None]]:
    """Tasks that together write the views with the parameters ``drawn`` into ``out``.

    On a CPU the samples of a chunk are sorted by where their jitter turns the hue, so that each of
    its steps concerns a contiguous part. Elsewhere one task does every step on every sample, with
    neutral parameters where nothing was drawn, and so never waits for the device.
    """
    jitter = None
    if augmentation.jitters:
        jitter = Jitter.of(drawn.factors, drawn.order, drawn.jitter)
    parts = chunks(len(images), max(images[:1].numel(), out[:1].numel()), images.device)
    if images.device.type != "cpu":

        def dense(part: slice) -> None:
            own = None if jitter is None else jitter[part]
            out[part] = render(augmentation, images[part], drawn[part], own)

        return [functools.partial(dense, part) for part in parts]

    chunk = torch.cat([torch.full((p.stop - p.start,), i) for i, p in enumerate(parts)])
    key = chunk * GROUPS if jitter is None else chunk * GROUPS + jitter.group
    order = key.argsort(stable=True)
    back = order.argsort()
    counts = key.bincount(minlength=GROUPS * len(parts)).view(-1, GROUPS)
    starts = (counts.cumsum(1) - counts).tolist()
    drawn_, jitter_ = drawn[order], None if jitter is None else jitter[order]

    def sparse(part: slice, starts: list[int]) -> None:
        own = None if jitter_ is None else jitter_[part]
        x = images.index_select(0, order[part])
        x = render(augmentation, x, drawn_[part], own, starts)
        torch.index_select(x, 0, back[part] - part.start, out=out[part])

    return [functools.partial(sparse, *each) for each in zip(parts, starts, strict=True)]


@torch.no_grad()
def render(
    augmentation: Augmentation,
    images: Tensor,
    drawn: Draw,
    jitter: Jitter | None,
    starts: list[int] | None = None,
) -> Tensor:
    """The views of uint8 images (N, C, H, W) with the parameters ``drawn``.

    ``jitter`` is the arrangement of the drawn jitter, None where the augmentation has none. With
    ``starts`` (see ``Jitter.apply_``) only the samples that a step was drawn for are touched;
    without it each step is computed for all of them and kept where it was drawn.
    """
    sparse = starts is not None

    def change(
        x: Tensor, selected: Tensor, operation: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        if not sparse:
            everything = torch.arange(len(x), device=x.device)
            return torch.where(selected[:, None, None, None], operation(x, everything), x)
        rows = selected.nonzero()[:, 0]
        if len(rows):
            x[rows] = operation(x.index_select(0, rows), rows)
        return x

    # an autocast around the training step must not round the crop to bfloat16
    with torch.autocast(images.device.type, enabled=False):
        x = resized_crop(images, drawn.boxes, augmentation.size, drawn.flip)
        if jitter is not None:
            jitter.apply_(x, starts)
        if augmentation.grey_p > 0:
            x = change(x, drawn.grey, lambda v, _: grey(v))
        if augmentation.blur_p > 0:
            kernel = augmentation.kernel
            x = change(x, drawn.blur, lambda v, r: gaussian_blur(v, drawn.sigma[r], kernel))
        if augmentation.solarize_p > 0:
            threshold = augmentation.solarize_threshold
            x = change(x, drawn.solarize, lambda v, _: solarize(v, threshold))
        return normalize_(x, augmentation.mean, augmentation.std)


def normalize_(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``(x - mean) / std`` in place; mean and std have one value, or one a channel."""
    channels = images.shape[1]
    if len(set(mean)) == len(set(std)) == 1:
        return images.sub_(mean[0]).mul_(1 / std[0])
    means, stds = (list(v) * (channels if len(v) == 1 else 1) for v in (mean, std))
    for plane, m, s in zip(images.unbind(1), means, stds, strict=True):
        plane.sub_(m).mul_(1 / s)
    return images
