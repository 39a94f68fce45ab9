"""Barlow Twins: the dimensions of two views agree one by one, and differ from each other."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_word
from viewfinder.core.ranges import Fraction, Weight
from viewfinder.core.vectors import to_about_one
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.correlation import check_statistics, squared_norm
from viewfinder.objectives.similarity import check_pair, float32_or_better, unit

Deviation = Literal["biased", "unbiased"]


def barlow_twins(
    z0: Tensor,
    z1: Tensor,
    redundancy: float = 0.005,
    *,
    deviation: Deviation = "biased",
    eps: float = 1e-5,
) -> Tensor:
    """Barlow Twins (Zbontar et al. 2021, equations 1 and 2).

        loss = sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2,   C = x0^T x1 / N

    x0 and x1 are the views with each dimension standardised over the batch. The least is 0.

    z0, z1      float (N, D), N >= 2, row i of both is sample i
    deviation   what the centred dimensions are divided by. "biased": sqrt(variance + eps), the mean
                of squares, as the authors' code (a batch norm) does. "unbiased": the square root
                of the sum of squares / (N - 1), plus eps, while C is still divided by N, so that
                its diagonal reaches (N - 1) / N only: InfoCL does so with eps = 0
    Returns a scalar. Across ranks the statistics are those of the joined batch; the row of the
    table of objectives sees to it. Raises ValueError for other shapes, and for a single sample.

    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> round(barlow_twins(z, z).item(), 6), round(barlow_twins(z, -z).item(), 3)
    (0.0, 8.0)
    """
    check_pair(z0, z1, ("z0", "z1"))
    check_statistics(len(z0))
    check_word("deviation", deviation, Deviation)
    x0, x1 = (_standardised(float32_or_better(z), deviation, eps) for z in (z0, z1))
    diagonal = (x0 * x1).mean(dim=0)
    everywhere = squared_norm(x0, x1) / len(x0) ** 2
    off_diagonal = everywhere - diagonal.square().sum()
    return (1 - diagonal).square().sum() + redundancy * off_diagonal


def _standardised(z: Tensor, deviation: Deviation, eps: float) -> Tensor:
    # what is large is made smaller first: its squares would overflow
    scale = to_about_one(z, 0, least=1.0)
    centred = (z - z.mean(dim=0)) * scale
    if deviation == "biased":
        return centred / (centred.square().mean(dim=0) + eps * scale[0] ** 2).sqrt()
    spread = torch.linalg.vector_norm(centred, dim=0) / (len(z) - 1) ** 0.5 + eps * scale[0]
    return centred / spread.masked_fill(spread == 0, 1)


class BarlowTwinsOptions(Options):
    normalize: bool = Field(
        False, description="projections to unit length before they are standardised, as InfoCL"
    )
    redundancy: Weight = Field(
        0.005, description="weight of the correlations between different dimensions"
    )
    deviation: Deviation = Field(
        "biased",
        description="what each dimension is divided by: biased, the authors' batch norm; "
        "unbiased, with N - 1, as InfoCL",
    )
    eps: Fraction = Field(
        1e-5, description="added to the variance if biased, to its root if unbiased"
    )


def _compute(x: Inputs, o: BarlowTwinsOptions) -> dict[str, Tensor]:
    z0, z1 = (unit(z) if o.normalize else z for z in x.pair)
    return {"loss": barlow_twins(z0, z1, **o.model_dump(exclude={"normalize"}))}


def _minimum(o: BarlowTwinsOptions, n: int, v: int, c: int) -> float:
    """With n - 1 dimensions, the most that n samples can decorrelate."""
    return 0.0 if o.deviation == "biased" else (n - 1) / n**2  # the diagonal reaches (n - 1) / n


BARLOW_TWINS_OBJECTIVE = Objective(
    name="barlow-twins",
    summary="the same dimension of both views correlates, different dimensions do not",
    formula="sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2",
    paper="Barlow Twins, Zbontar et al. 2021",
    options=BarlowTwinsOptions,
    compute=_compute,
    minimum=_minimum,
    chance=lambda o, n, v, c, dim: float(dim),
    scores="pairs",
    ordered=False,
    across_ranks="batch",
    target="unused",
    negatives=("none",),
    positives=("instance",),
)
