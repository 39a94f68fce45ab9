"""Contrastive predictive coding: a context tells the patch that lies ahead from all others."""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from viewfinder.core.ranges import Count, Divisor
from viewfinder.networks.context import Kind, Predictions
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import anchor_positions, check_contrast, simplex
from viewfinder.objectives.log_partition import Temperature, log_partition
from viewfinder.objectives.similarity import Similarity, compared


def cpc(
    query: Tensor,
    key: Tensor,
    temperature: Temperature = 1.0,
    *,
    side: int = 1,
    first: int = 1,
    steps: int = 1,
    directions: int = 1,
    similarity: Similarity = "dot",
    rows: slice | None = None,
) -> Tensor:
    """InfoNCE of patches: what lies k rows ahead is told from all patches of all images (van den
    Oord et al. 2018, equations 3 and 4; negatives as in Hénaff et al. 2020).

        loss = mean_knij -log( exp(s(q^k_nij, z_n(i+k)j)) / sum_p exp(s(q^k_nij, z_p)) )

    over k = first ... first + steps - 1, images n, and places (i, j) with i + k < side; p are the
    patches of all images, each once. The positive is among the sum's terms once; the negatives are
    the other patches of the same image, and all those of other images. With one row there is
    nothing ahead: a query is then of its own key, and the loss is ``info_nce``.

    query       float (N, directions * steps * side^2 * D), see ``networks.context.Predictions``
    key         float (N, side^2 * D), the features of the patches, row by row; N >= 2
    temperature > 0, a number or a tensor () that is learned
    directions  1 to 4: so many turns of the grid are predicted, and their losses averaged
    similarity  "dot", or "cosine"
    rows        only these samples are queries, all are keys; the mean is over them
    Returns a scalar. Raises ValueError for other shapes, a single sample, nothing ahead.

    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(cpc(z, z, 0.1).item(), 6)  # log(1 + 3 exp(-10))
    0.000136
    """
    if side > 1 and first + steps > side:
        raise ValueError(f"{first + steps - 1} rows ahead there is nothing in a grid of {side}")
    ahead = range(first, first + steps) if side > 1 else range(1)
    check_contrast(len(key), temperature)
    dim = key.shape[1] // side**2
    wanted = directions * len(ahead) * side**2 * dim
    whole = query.ndim == key.ndim == 2 and dim > 0 and not key.shape[1] % side**2
    if not whole or query.shape[1] != wanted:
        raise ValueError(
            f"queries {tuple(query.shape)} and keys {tuple(key.shape)} are no predictions of "
            f"{len(ahead)} distances in a grid of {side}x{side}: (N, {wanted}) would be"
        )
    image = anchor_positions(len(key), 1, rows, key.device)
    said = query[image].view(-1, directions, len(ahead), side, side, dim)
    grid = key.view(len(key), side, side, dim)
    losses = []
    for turn in range(directions):
        patches = compared(torch.rot90(grid, turn, (1, 2)).reshape(-1, dim), similarity)
        place = torch.arange(side**2, device=key.device).view(side, side)
        for number, k in enumerate(ahead):
            asked = compared(said[:, turn, number, : side - k].reshape(-1, dim), similarity)
            positive = (image[:, None, None] * side**2 + place[k:]).reshape(-1)
            losses.append(log_partition(asked, patches, temperature, positive=positive).mean())
    return torch.stack(losses).mean()


class CPCOptions(Options):
    side: int = Field(1, ge=1, le=64, description="of the grid, in patches; 1: a single patch")
    first: int = Field(1, ge=1, le=63, description="the nearest row that is predicted, rows ahead")
    steps: int = Field(1, ge=1, le=63, description="how many distances are predicted")
    directions: int = Field(
        1, ge=1, le=4, description="1: downwards; 2 to 4: also from other sides (CPC v2: 4)"
    )
    context: Kind = Field("gru", description="gru (v1), or the pixelcnn of v2")
    units: Count = Field(256, description="of the context network")
    temperature: Divisor = Field(1.0, description="what similarities are divided by; v2: 10")
    similarity: Similarity = Field("cosine", description="cosine, or dot as in the paper")

    @model_validator(mode="after")
    def _something_ahead(self) -> Self:
        if self.side > 1 and self.first + self.steps > self.side:
            raise ValueError(
                f"{self.first + self.steps - 1} rows ahead there is nothing in a grid of "
                f"{self.side} rows"
            )
        return self


def _predictor(o: CPCOptions, dim: int) -> nn.Module:
    steps = o.steps if o.side > 1 else 1
    return Predictions(o.context, o.side, dim // o.side**2, o.units, steps, o.directions)


def _compute(x: Inputs, o: CPCOptions) -> dict[str, Tensor]:
    query, key = x.pair
    loss = cpc(
        query,
        key,
        o.temperature,
        side=o.side,
        first=o.first,
        steps=o.steps,
        directions=o.directions,
        similarity=o.similarity,
        rows=x.rows,
    )
    return {"loss": loss}


def _minimum(o: CPCOptions, n: int, v: int, c: int) -> float:
    """All patches at the corners of a simplex; of long vectors dot products are as low as one
    likes."""
    patches = n * o.side**2
    return 0.0 if o.similarity == "dot" else simplex(o.temperature, 1, patches - 1, patches)


def _chance(o: CPCOptions, samples: int, views: int, classes: int, dim: int) -> float:
    return math.log(samples * o.side**2)


CPC_OBJECTIVE = Objective(
    name="cpc",
    summary="the context of a patch tells the one so many rows ahead from all other patches",
    paper="van den Oord et al. 2018; Hénaff et al. 2020 (v2)",
    formula="mean_knij -log( exp(s(q^k_nij, z_n(i+k)j)) / sum_p exp(s(q^k_nij, z_p)) )",
    options=CPCOptions,
    compute=_compute,
    minimum=_minimum,
    chance=_chance,
    scores="pairs",
    across_ranks="keys",
    target="any",
    negatives=("batch",),
    positives=("instance",),
    pieces=lambda options: options.side**2,
    predictor=_predictor,
)
