"""VICReg: views agree, no dimension collapses, no two dimensions say the same."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Weight
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.correlation import check_statistics, squared_norm
from viewfinder.objectives.similarity import check_pair, float32_or_better


def vicreg(
    z0: Tensor,
    z1: Tensor,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    *,
    halved: bool = True,
    eps: float = 1e-4,
) -> Tensor:
    """Variance, invariance, covariance (Bardes et al. 2022, equations 1 to 6, as its authors code).

        loss = invariance * mean_nd (z0 - z1)^2
             + variance   * 1/2 (v(z0) + v(z1)),    v(z) = mean_d max(0, 1 - sqrt(Var(z_d) + eps))
             + covariance * (c(z0) + c(z1)),        c(z) = 1/D sum_{i != j} Cov(z)_ij^2

    with variances and covariances over the batch, divided by N - 1. The least is 0.

    z0, z1  float (N, D), N >= 2, row i of both is sample i; their scale matters
    halved  the paper writes v(z0) + v(z1) without the half, as solo-learn has it: False
    Returns a scalar. Across ranks the statistics are those of the joined batch; the row of the
    table of objectives sees to it. Raises ValueError for other shapes, and for a single sample.

    >>> import torch
    >>> z = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> vicreg(z, z).item()
    0.0
    """
    check_pair(z0, z1, ("z0", "z1"))
    check_statistics(len(z0))
    z0, z1 = float32_or_better(z0), float32_or_better(z1)
    hinges, covariances = zip(*(_statistics(z, eps) for z in (z0, z1)), strict=True)
    return (
        invariance * (z0 - z1).square().mean()
        + variance * sum(hinges) / (2 if halved else 1)
        + covariance * sum(covariances)
    )


def _statistics(z: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """v(z) and c(z)."""
    centred = z - z.mean(dim=0)
    squares = centred.square().sum(dim=0)
    hinge = F.relu(1 - (squares / (len(z) - 1) + eps).sqrt()).mean()
    off_diagonal = squared_norm(centred, centred) - squares.square().sum()
    return hinge, off_diagonal / (len(z) - 1) ** 2 / z.shape[1]


class VICRegOptions(Options):
    invariance: Weight = Field(25.0, description="weight of the squared difference")
    variance: Weight = Field(25.0, description="weight of the deviations' shortfall of 1")
    covariance: Weight = Field(1.0, description="weight of the squared covariances")
    halved: bool = Field(
        True, description="half the sum of both views' variance terms, as coded; else their sum"
    )
    eps: float = Field(1e-4, ge=1e-12, le=1, description="added to the variances")


def _compute(x: Inputs, o: VICRegOptions) -> dict[str, Tensor]:
    return {"loss": vicreg(*x.pair, **o.model_dump())}


VICREG_OBJECTIVE = Objective(
    name="vicreg",
    summary="views agree; every dimension varies, no two of them together",
    formula="25 mean (z0 - z1)^2 + 25/2 (v(z0) + v(z1)) + c(z0) + c(z1)",
    paper="VICReg, Bardes et al. 2022",
    options=VICRegOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: 0.0,
    scores="pairs",
    ordered=False,
    across_ranks="batch",
    target="unused",
    negatives=("none",),
    positives=("instance",),
)
