"""Colour jitter: brightness, contrast, saturation and hue, each sample by itself and in its order.

The values are torchvision's (its tensor functions, in floats); the arithmetic is arranged so that a
batch needs few passes over the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Grouped, Step, Strength, Values
from viewfinder.views.options import Probability
from viewfinder.views.steps.grey import luminance

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
Four = tuple[float, float, float, float]


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


def arranged(factors: Tensor, order: Tensor, selected: Tensor) -> Values:
    """Colour jitter of a batch as six affine steps with one hue rotation in their midst.

    Brightness, contrast and saturation are all ``clamp(scale * x + to_grey * luminance + to_mean *
    mean(luminance))``. A sample whose hue turn comes at position p of its order has p such steps
    before it and 3 - p after, so every sample fits into three steps, hue, three steps, with
    identities where it has fewer. One-channel images are their own luminance, so saturation leaves
    them as they are, and their hue is not turned.

    factors  (N, 4): b, c, s >= 0 and h in [-1/2, 1/2] turns
    order    int64 (N, 4), a permutation of 0..3 in that order
    selected bool (N,), the samples to jitter

    Returns of each sample:

    steps  (N, 3, 6): scale, to_grey and to_mean of the six affine steps
    shift  (N,), the hue turn
    group  int64 (N,): the position of hue; 4 where hue does not turn; 5 where nothing is done
    """
    position = (order == HUE).int().argmax(1)
    group = position.masked_fill(factors[:, HUE] == 0, 4).masked_fill(~selected, 5)
    k = torch.arange(3, device=order.device)
    # the three others in their order, and behind them the identity (hue's column below)
    others = order.gather(1, k + (k >= position[:, None]))
    others = torch.nn.functional.pad(others, (0, 1), value=HUE)
    count = group[:, None].clamp(max=3) * (group < 5)[:, None]
    before = torch.where(k < count, k, 3)
    after = torch.where((group < 3)[:, None], (count + k).clamp(max=3), 3)
    operations = others.gather(1, torch.cat([before, after], 1))  # (N, 6)

    b, c, s, shift = factors.unbind(1)
    one, none = torch.ones_like(b), torch.zeros_like(b)
    scale, to_grey, to_mean = (
        (b, c, s, one),
        (none, none, 1 - s, none),
        (none, 1 - c, none, none),
    )
    table = torch.stack([*scale, *to_grey, *to_mean], 1).view(-1, 3, 4)
    steps = table.gather(2, operations[:, None].expand(-1, 3, 6))
    return {"steps": steps, "shift": shift.masked_fill(group == 5, 0), "group": group}


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


_Factor = Annotated[float, Field(ge=0, le=100)]
_Hue = Annotated[float, Field(ge=0, le=0.5)]


class JitterOptions(Options):
    """Equal to torchvision's ColorJitter, applied with a probability."""

    strength: tuple[_Factor, _Factor, _Factor, _Hue] = Field(
        (0.4, 0.4, 0.4, 0.1), description="strength of brightness, contrast, saturation, hue jitter"
    )
    p: Probability = Field(0.8, description="probability of colour jitter")


class Jitter(Grouped):
    """Changes brightness, contrast, saturation and hue of each image in [0, 1], in its own order.

    brightness  x -> b x;  contrast  x -> c x + (1 - c) mean(luminance);
    saturation  x -> s x + (1 - s) luminance;  each clamped to [0, 1];  hue  turns the HSV hue by h.
    """

    groups = 6  # see ``arranged``

    def __init__(self, strength: Four) -> None:
        super().__init__()
        self.strength = strength

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """``factors`` (n, 4) and ``order`` (n, 4), see ``sample_jitter``."""
        factors, order = sample_jitter(n, self.strength, generator)
        return {"factors": factors, "order": order}

    def plan(self, drawn: Values, selected: Tensor) -> Values:
        """See ``arranged``."""
        return arranged(drawn["factors"], drawn["order"], selected)

    def apply_(self, x: Tensor, plan: Values, starts: Sequence[int] | None = None) -> Tensor:
        """Jitter images (N, C, H, W) in place; see ``Grouped``."""
        steps, shift, end = plan["steps"], plan["shift"], len(x)
        for k in range(3):
            _affine_(
                x, steps[:, :, k], slice(starts[k + 1], starts[5]) if starts else slice(0, end)
            )
        if x.shape[1] == 3:
            hue = slice(0, starts[4] if starts else end)
            rotate_hue_(x[hue], shift[hue])
        for k in range(3):
            _affine_(x, steps[:, :, 3 + k], slice(0, starts[3 - k] if starts else end))
        return x


def _affine_(images: Tensor, step: Tensor, samples: slice) -> None:
    """One affine step (N, 3) on a slice of the samples, in place."""
    images = images[samples]
    if len(images) == 0:
        return
    scale, to_grey, to_mean = step[samples, :, None, None].unbind(1)
    added = luminance(images)
    mean = added.mean((1, 2), keepdim=True)
    added.mul_(to_grey).add_(to_mean * mean)
    torch.addcmul(added[:, None], images, scale[:, None], out=images).clamp_(0, 1)


def build(options: JitterOptions, domain: Domain) -> Jitter:
    """The step of these options."""
    return Jitter(options.strength)


def channels(options: JitterOptions) -> tuple[int, ...]:
    """Saturation and hue are of colours; one channel they leave as it is."""
    return (1, 3) if options.strength[SATURATION] or options.strength[HUE] else ()


def remedy(options: JitterOptions) -> str:
    """Brightness and contrast alone, which any channels have."""
    brightness, contrast, *_ = options.strength
    return f"@jitter=[{brightness:g},{contrast:g},0,0]"


def scaled(options: JitterOptions, factor: float) -> dict[str, Any]:
    """All four by the factor, as the papers' x of (0.8x, 0.8x, 0.8x, 0.2x)."""
    return {"strength": tuple(factor * value for value in options.strength)}


JITTER = Step(
    name="jitter",
    summary="brightness, contrast, saturation and hue change, in random order",
    options=JitterOptions,
    bare="strength",
    build=build,
    channels=channels,
    remedy=remedy,
    unit=True,
    place=30,
    strength=Strength("all four of `strength`", scaled),
)
