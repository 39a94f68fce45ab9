"""NT-Xent, the loss of SimCLR."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Divisor
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import anchor_positions, check_contrast, simplex
from viewfinder.objectives.log_partition import Temperature, log_partition, log_partition_within
from viewfinder.objectives.similarity import check_pair, unit


def nt_xent(
    z0: Tensor, z1: Tensor, temperature: Temperature = 0.5, *, rows: slice | None = None
) -> Tensor:
    """Normalised temperature-scaled cross entropy of two views (Chen et al. 2020, equation 1).

        loss = mean_a -log( exp(s_a,pos(a)) / sum_{b != a} exp(s_ab) ),   s = cosine / temperature

    over all 2N rows a of both views; pos(a) is the other view of the same sample, and the sum has
    2N - 1 terms: the positive is in it, the row itself is not.

    z0, z1       float (N, D), N >= 2, row i of both is sample i; any scale: normalised inside
    temperature  > 0, a number or a tensor () that is learned
    rows         only these samples are anchors, all samples are keys; the mean is over them
    Returns a scalar. Raises ValueError for other shapes, and for a single sample, which has nothing
    to be told from.

    >>> z = torch.eye(4, dtype=torch.float64)
    >>> round(nt_xent(z, z, 0.1).item(), 6)  # log(1 + 6 exp(-10))
    0.000272
    """
    check_pair(z0, z1, ("z0", "z1"))
    check_contrast(len(z0), temperature)
    z = unit(torch.cat([z0, z1]))
    if rows is None:
        return log_partition_within(z, temperature, paired=True).mean()
    own = anchor_positions(len(z0), 2, rows, z.device)
    positive = (own + len(z0)) % len(z)
    return log_partition(z[own], z, temperature, positive=positive, own=own).mean()


class NTXentOptions(Options):
    temperature: Divisor = Field(0.5, description="divides the cosine similarities")


def _compute(x: Inputs, o: NTXentOptions) -> dict[str, Tensor]:
    return {"loss": nt_xent(*x.pair, o.temperature, rows=x.rows)}


NT_XENT_OBJECTIVE = Objective(
    name="nt-xent",
    summary="tell the other view of an image from all other views in the batch",
    formula="mean_a -log( exp(s_a,pos(a)) / sum_{b != a} exp(s_ab) )",
    paper="SimCLR, Chen et al. 2020",
    options=NTXentOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: simplex(o.temperature, 1, 2 * n - 2, n),
    chance=lambda o, n, v, c, dim: math.log(2 * n - 1),
    scores="pairs",
    ordered=False,
    across_ranks="keys",
    target="unused",
    negatives=("batch",),
    positives=("instance",),
)
