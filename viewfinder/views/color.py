"""Colour operations on batches of floating images in [0, 1], each sample with its own parameters.

The values are torchvision's (its tensor functions, in floats); the arithmetic is arranged so that a
batch needs few passes over the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
GROUPS = 6  # of samples that are jittered alike; see Jitter
LUMA = (0.2989, 0.587, 0.114)


def sample_jitter(
    n: int, strength: tuple[float, float, float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Factors and order of the four jitter operations, as torchvision's ColorJitter draws them.

    ``strength`` (b, c, s, h): brightness, contrast and saturation factors are uniform in
    [max(0, 1 - b), 1 + b] and so on, the hue shift in [-h, h] turns; the order is a random
    permutation for each sample.

    Returns factors float32 (n, 4) in the order brightness, contrast, saturation, hue, and order
    int64 (n, 4), the operations (0..3) from first to last.
    """
    device = generator.device
    ranges = [(max(0.0, 1 - s), 1 + s) for s in strength[:HUE]] + [(-strength[HUE], strength[HUE])]
    uniform = torch.rand(4, n, generator=generator, device=device)
    columns = [u * (high - low) + low for u, (low, high) in zip(uniform, ranges, strict=True)]
    factors = torch.stack(columns, 1)
    order = torch.rand(n, 4, generator=generator, device=device).argsort(1)
    return factors, order


def luminance(images: Tensor) -> Tensor:
    """The grey value of each pixel (N, H, W): ITU-R 601 weights of RGB, else the channels' mean."""
    if images.shape[1] != 3:
        return images.mean(1)
    red, green, blue = images.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def grey(images: Tensor) -> Tensor:
    """RGB images with every channel replaced by the luminance; one-channel images as they are."""
    if images.shape[1] == 1:
        return images
    if images.shape[1] != 3:
        raise ValueError(f"images have {images.shape[1]} channels; grey needs 1 or 3")
    return luminance(images)[:, None].expand_as(images)


def solarize(images: Tensor, threshold: float) -> Tensor:
    """Invert (1 - x) the values at or above ``threshold``, which is in [0, 1] like the images."""
    return torch.where(images >= threshold, 1 - images, images)


def color_jitter(images: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in its own order.

    brightness  x -> b x;  contrast  x -> c x + (1 - c) mean(luminance);
    saturation  x -> s x + (1 - s) luminance;  each clamped to [0, 1];  hue  turns the HSV hue by h.

    images   floating (N, C, H, W) in [0, 1], C 1 or 3; saturation and hue leave C = 1 as it is
    factors  floating (N, 4): b, c, s >= 0 and h in [-1/2, 1/2] turns
    order    int64 (N, 4), a permutation of 0..3 in the order above

    Returns (N, C, H, W). Raises ValueError for another number of channels.

    >>> images = torch.full((1, 3, 2, 2), 0.25)
    >>> factors, order = torch.tensor([[2.0, 1.0, 1.0, 0.0]]), torch.tensor([[0, 1, 2, 3]])
    >>> color_jitter(images, factors, order).unique().tolist()
    [0.5]
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images have {images.shape[1]} channels; colour jitter needs 1 or 3")
    jitter = Jitter.of(factors.to(images.dtype), order)
    planes = images.transpose(0, 1).clone(memory_format=torch.contiguous_format).transpose(0, 1)
    return jitter.apply_(planes)


@dataclass(frozen=True)
class Jitter:
    """Colour jitter of a batch, arranged as six affine steps with one hue rotation in their midst.

    Brightness, contrast and saturation are all ``clamp(scale * x + to_grey * luminance + to_mean *
    mean(luminance))``. A sample whose hue turn comes at position p of its order has p such steps
    before it and 3 - p after, so every sample fits into three steps, hue, three steps, with
    identities where it has fewer. One-channel images are their own luminance, so saturation leaves
    them as they are, and their hue is not turned.

    steps  (3, 6, N): scale, to_grey and to_mean of the six affine steps
    shift  (N,), the hue turn
    group  int64 (N,): the position of hue; 4 where hue does not turn; 5 where nothing is done
    """

    steps: Tensor
    shift: Tensor
    group: Tensor

    @staticmethod
    def of(factors: Tensor, order: Tensor, selected: Tensor | None = None) -> Jitter:
        """The arrangement of ``factors`` and ``order`` (N, 4) at the ``selected`` samples (N,)."""
        position = (order == HUE).int().argmax(1)
        group = position.masked_fill(factors[:, HUE] == 0, 4)
        if selected is not None:
            group = group.masked_fill(~selected, 5)
        k = torch.arange(3, device=order.device)
        # the three others in their order, and behind them the identity (hue's column below)
        others = order.gather(1, k + (k >= position[:, None]))
        others = torch.nn.functional.pad(others, (0, 1), value=HUE)
        count = group[:, None].clamp(max=3) * (group < 5)[:, None]
        before = torch.where(k < count, k, 3)
        after = torch.where((group < 3)[:, None], (count + k).clamp(max=3), 3)
        operations = others.gather(1, torch.cat([before, after], 1)).T  # (6, N)

        b, c, s, shift = factors.unbind(1)
        one, none = torch.ones_like(b), torch.zeros_like(b)
        scale, to_grey, to_mean = (
            (b, c, s, one),
            (none, none, 1 - s, none),
            (none, 1 - c, none, none),
        )
        table = torch.stack([*scale, *to_grey, *to_mean]).view(3, 4, -1)
        steps = table.gather(1, operations.expand(3, 6, -1))
        return Jitter(steps, shift.masked_fill(group == 5, 0), group)

    def __getitem__(self, index: Tensor | slice) -> Jitter:
        """The arrangement of some of the samples."""
        return Jitter(self.steps[:, :, index], self.shift[index], self.group[index])

    def apply_(self, images: Tensor, starts: list[int] | None = None) -> Tensor:
        """Jitter floating images (N, C, H, W) in place and return them.

        ``starts``: where the samples are sorted by group, the first of each group 0..5; each step
        is then done only where it is not the identity. Without it every step is done everywhere,
        which needs no knowledge of the values (and so no wait for a GPU).
        """
        end = len(images)
        for k in range(3):
            self._step_(images, k, slice(starts[k + 1], starts[5]) if starts else slice(0, end))
        if images.shape[1] == 3:
            hue = slice(0, starts[4] if starts else end)
            rotate_hue_(images[hue], self.shift[hue])
        for k in range(3):
            self._step_(images, 3 + k, slice(0, starts[3 - k] if starts else end))
        return images

    def _step_(self, images: Tensor, step: int, samples: slice) -> None:
        """One affine step on a slice of the samples, in place."""
        images = images[samples]
        if len(images) == 0:
            return
        scale, to_grey, to_mean = self.steps[:, step, samples, None, None].unbind(0)
        added = luminance(images)
        mean = added.mean((1, 2), keepdim=True)
        added.mul_(to_grey).add_(to_mean * mean)
        torch.addcmul(added[:, None], images, scale[:, None], out=images).clamp_(0, 1)


def rotate_hue_(images: Tensor, turns: Tensor) -> None:
    """Turn the HSV hue of RGB images (N, 3, H, W) in place, by ``turns`` (N,) in [-1/2, 1/2].

    Without branches: with max, min and d = max - min of a pixel, the unsigned angle from red in
    sixths of a turn is ``1 + (g + b - r - min) / d`` and its sign that of ``g - b``. Back from an
    angle q in [0, 6), ``g = max - d (clamp(|q - 2|, 1, 2) - 1)``, blue likewise around 4, and
    ``r = min + d (clamp(|q - 3|, 1, 2) - 1)``.
    """
    if len(images) == 0:
        return
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    spread = high - low
    angle = (green + blue).sub_(red).sub_(low)
    angle.div_(spread.clamp(min=torch.finfo(images.dtype).tiny)).add_(1)  # 0 / tiny where grey
    angle.copysign_(green - blue)
    # two whole turns more make it positive, so that frac wraps it
    angle = torch.add((turns + 2)[:, None, None], angle, alpha=1 / 6).frac_().mul_(6)
    low.sub_(spread)
    high.add_(spread)
    distance = torch.sub(angle, 3).abs_().clamp_(1, 2)
    torch.addcmul(low, spread, distance, out=red)
    torch.sub(angle, 2, out=distance).abs_().clamp_(1, 2)
    torch.addcmul(high, spread, distance, value=-1, out=green)
    torch.sub(angle, 4, out=distance).abs_().clamp_(1, 2)
    torch.addcmul(high, spread, distance, value=-1, out=blue)
