"""The bound that embeddings themselves give: their cosine is the critic, nothing is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from viewfinder.core.randomness import torch_generator
from viewfinder.core.vectors import unit
from viewfinder.information.estimate import Estimate, SeedResult, summarised
from viewfinder.information.estimator import candidates, evaluate
from viewfinder.information.table import BOUNDS

TEMPERATURES = tuple(float(t) for t in torch.logspace(-2, 1, 25))


class Cosine(nn.Module):
    """f(x, y) = cos(x, y) / temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return unit(x) @ unit(y).T / self.temperature


def of_embeddings(x: Tensor, y: Tensor, *, k: int | None = None, seed: int = 0) -> Estimate:
    """InfoNCE between embeddings (N, D) of N pairs by their cosine, a lower bound of I(X;Y).

    The temperature is the one of 25 from 0.01 to 10 that is best on a random half of the pairs, so
    that methods without one are measured too; the bound is that of the other half. The embeddings
    must come from a network that saw none of the pairs.

    Raises UserError for fewer than 64 pairs, and for a k that they do not fill twice.

    >>> z = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    >>> found = of_embeddings(z, z)
    >>> found.near_ceiling, round(found.ceiling, 3)
    (True, 3.219)
    """
    k, bound = candidates(k, len(x)), BOUNDS["info-nce"]
    order = torch.randperm(len(x), generator=torch_generator(seed, "measure/split"))
    held_out, rest = order[: len(x) // 2], order[len(x) // 2 :]

    def value(temperature: float) -> float:
        found = evaluate(Cosine(temperature), x[rest], y[rest], k, bound)
        return math.fsum(found) / len(found)

    temperature = max(TEMPERATURES, key=value)
    critic, x, y = Cosine(temperature), x[held_out], y[held_out]
    sizes = [4**power for power in range(1, 12) if 4**power < k]
    by_k = {size: evaluate(critic, x, y, size, bound) for size in (*sizes, k)}
    means = {size: math.fsum(found) / len(found) for size, found in by_k.items()}
    result = SeedResult(seed, tuple(by_k[k]), means, (), 0, True)
    told = {
        "bound": bound.name,
        "critic": "cosine",
        "temperature": temperature,
        "k": k,
        "pairs": len(order),
        "held_out": len(held_out),
        "seed": seed,
        "lower_bound": True,
        "paper": bound.paper,
    }
    return summarised([result], None, math.log(k), told)
