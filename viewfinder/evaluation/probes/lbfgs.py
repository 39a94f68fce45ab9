"""L-BFGS for several independent problems at once, so that they share each pass over the data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

HISTORY = 10
SUFFICIENT_DECREASE = 1e-4
HALVINGS = 20

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Minimum:
    """Where each of M problems ended.

    points (M, P); values (M,); residuals (M,): what the objective calls its distance from
    stationarity; iterations int64 (M,).
    """

    points: Tensor
    values: Tensor
    residuals: Tensor
    iterations: Tensor


def minimise(
    objective: Objective,
    start: Tensor,
    *,
    tolerance: float,
    max_iterations: int,
    noise: float = 0.0,
) -> Minimum:
    """Minimise M smooth convex functions of P variables each.

    objective(points (m, P), problems int64 (m,)) gives for the problems named: values (m,),
    gradients (m, P), residuals (m,). A problem is left alone once its residual is at most
    ``tolerance`` or no step along its direction lowers it; ``noise`` is the relative rounding error
    of the values, by which a step may seem to rise.

    The method is that of Nocedal and Wright (2006, algorithm 7.5) with the last 10 pairs, step 1
    tried first and halved until the Armijo condition holds; convexity makes the curvature of every
    pair positive, so no second condition is needed.
    """
    points = start.clone()
    everything = torch.arange(len(points), device=points.device)
    values, gradients, residuals = objective(points, everything)
    iterations = torch.zeros_like(everything)
    stuck = torch.zeros_like(everything, dtype=torch.bool)
    pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for _ in range(max_iterations):
        active = ((residuals > tolerance) & ~stuck).nonzero().squeeze(1)
        if len(active) == 0:
            break
        iterations[active] += 1
        steps = -_inverse_hessian_times(gradients[active], [_rows(p, active) for p in pairs])
        slopes = (gradients[active] * steps).sum(1)
        before = points.clone(), values.clone(), gradients.clone(), residuals.clone()
        bounds, pending = values[active] + noise * values[active].abs(), active
        length = 1.0
        for _ in range(HALVINGS):
            points[pending] = before[0][pending] + length * steps
            values[pending], gradients[pending], residuals[pending] = objective(
                points[pending], pending
            )
            rose = ~(values[pending] <= bounds + SUFFICIENT_DECREASE * length * slopes)
            pending, steps, slopes, bounds = pending[rose], steps[rose], slopes[rose], bounds[rose]
            if len(pending) == 0:
                break
            length /= 2
        stuck[pending] = True
        for now, then in zip((points, values, gradients, residuals), before, strict=True):
            now[pending] = then[pending]
        moved, turned = points - before[0], gradients - before[2]
        curvature = (moved * turned).sum(1)
        inverse = torch.where(curvature > 0, 1 / curvature, torch.zeros_like(curvature))
        pairs.append((moved, turned, inverse))
    return Minimum(points, values, residuals, iterations)


def _rows(pair: tuple[Tensor, Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return pair[0][rows], pair[1][rows], pair[2][rows]


def _inverse_hessian_times(q: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The two loops, one row per problem; a pair whose inverse curvature is 0 takes no part."""
    weights = []
    for moved, turned, inverse in reversed(pairs):
        weight = inverse * (moved * q).sum(1)
        q = q - weight[:, None] * turned
        weights.append(weight)
    if pairs:
        _, turned, inverse = pairs[-1]
        squares = (turned * turned).sum(1) * inverse
        q = q * torch.where(squares > 0, 1 / squares, torch.ones_like(squares))[:, None]
    for (moved, turned, inverse), weight in zip(pairs, reversed(weights), strict=True):
        q = q + (weight - inverse * (turned * q).sum(1))[:, None] * moved
    return q
