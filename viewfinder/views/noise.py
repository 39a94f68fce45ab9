"""Views of points: noise added to each coordinate."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_noise(points: Tensor, eta: float, generator: torch.Generator) -> Tensor:
    """A view of each point: x + e with e ~ U(0, eta), drawn for every coordinate by itself.

    One-sided, as Wu et al. 2020 (section 4.3) write it: the view of x lies in the square of side
    eta of which x is the lower left corner. With eta = 0 the view is x itself.

    points float (N, D) -> (N, D), same type and device. Raises ValueError for eta < 0.
    """
    if eta < 0:
        raise ValueError(f"eta must not be negative, not {eta}")
    noise = torch.rand(points.shape, dtype=points.dtype, device=points.device, generator=generator)
    return points + eta * noise
