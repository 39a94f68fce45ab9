"""Schedules: the value of a hyper-parameter at a step, as plain functions.

Implementations differ at the ends. ``include_end=True``, the default: the first warm-up step is
already one part of the way up, and the last step has the end value exactly. ``include_end=False``,
as DINO, MoCo and BYOL count: step 0 has the start value, and the end value would come one step
after the last. The papers do not say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal


def cosine(step: int, total: int, start: float, end: float, *, include_end: bool = True) -> float:
    """Half a cosine from ``start`` at step 0 to ``end`` at step total - 1 (or total), then ``end``.

        end - (end - start) * (cos(pi * step / last) + 1) / 2,   last = total - 1 or total

    >>> [round(cosine(step, 5, 1.0, 0.0), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    last = total - 1 if include_end else total
    if step >= last:
        return end
    return end - (end - start) * (math.cos(math.pi * step / last) + 1) / 2


def warmup_cosine(
    step: int,
    total: int,
    warmup: int,
    end: float = 0.0,
    *,
    peak: float = 1.0,
    start: float = 0.0,
    include_end: bool = True,
) -> float:
    """A straight rise from ``start`` to ``peak`` in ``warmup`` steps, then a cosine to ``end``.

    With the default peak of 1 it is a factor for a learning rate. The last step of the warm-up and
    the step after it both have the peak value.

    >>> [round(warmup_cosine(step, 5, 2), 3) for step in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        part = (step + 1) / warmup if include_end else step / max(1, warmup - 1)
        return start + (peak - start) * part
    return cosine(step - warmup, total - warmup, peak, end, include_end=include_end)


def linear(step: int, total: int, start: float, end: float) -> float:
    """A straight line from ``start`` at step 0 to ``end`` at step total - 1, then ``end``."""
    return end if step >= total - 1 else start + (end - start) * step / (total - 1)


def decay(
    epoch: int,
    epochs: int,
    start: float,
    end: float,
    shape: Literal["linear", "exponential", "cosine"] = "linear",
) -> float:
    """A weight that goes from ``start`` at epoch 0 to ``end`` at epoch ``epochs``, and stays there.

    The lambda_e of CARL (equation 8, with start b, end a and epochs E):

        linear       b - (b - a) * e / E
        exponential  b * (a / b) ^ (e / E)
        cosine       a + (b - a) * (1 + cos(pi * e / E)) / 2

    Raises ValueError for E < 1, negative weights, and an exponential that starts or ends at 0.

    >>> [decay(e, 100, 4.0, 1.5) for e in (0, 50, 100, 150)]
    [4.0, 2.75, 1.5, 1.5]
    """
    if epochs < 1:
        raise ValueError(f"a decay takes at least one epoch, not {epochs}")
    if min(start, end) < 0 or (shape == "exponential" and min(start, end) == 0):
        raise ValueError(f"a weight cannot decay from {start} to {end}: {shape} needs more than 0")
    if epoch >= epochs:
        return end
    if shape == "linear":
        return linear(epoch, epochs + 1, start, end)
    if shape == "exponential":
        return start * (end / start) ** (epoch / epochs)
    return cosine(epoch, epochs, start, end, include_end=False)


def multistep(step: int, milestones: Sequence[int], factor: float = 0.1) -> float:
    """``factor`` to the power of how many milestones have been reached.

    >>> [multistep(step, [60, 80], 0.1) for step in (59, 60, 80)]
    [1.0, 0.1, 0.010000000000000002]
    """
    return factor ** sum(step >= milestone for milestone in milestones) * 1.0


def cosine_momentum(step: int, total: int, base: float = 0.996, final: float = 1.0) -> float:
    """The momentum of BYOL's target: final - (final - base) * (cos(pi * step / total) + 1) / 2.

    (Grill et al. 2020, section 3.3, with final = 1.)

    >>> cosine_momentum(0, 100), cosine_momentum(100, 100)
    (0.996, 1.0)
    """
    return cosine(step, total, base, final, include_end=False)
