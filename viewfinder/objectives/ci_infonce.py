"""CI-InfoNCE with one sampled positive, equation (1) of its paper; ``supcon`` is its batch form."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Divisor
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import known_or_alone, simplex
from viewfinder.objectives.info_nce import info_nce
from viewfinder.objectives.log_partition import Temperature


def ci_infonce(
    x: Tensor, y: Tensor, temperature: Temperature = 0.1, *, rows: slice | None = None
) -> Tensor:
    """Clustering-based InfoNCE of pairs from the same cluster (Tsai et al. 2021, equation 1).

        loss = -mean_i log( exp(f(x_i, y_i)) / (1/n sum_j exp(f(x_i, y_j))) ),

    with f = cosine / temperature.

    x, y  float (N, D), N >= 2: x_i and y_i are views of two images drawn independently from one
          cluster z ~ P_Z. ``draw_partners`` makes such pairs within a plain batch
    rows  only these pairs are anchors, all are keys

    The loss is never below -log n, and on average minus the loss is a lower bound on
    D( E_z[P(x|z) P(y|z)] || P(x) P(y) ) <= H(Z) in nats (theorem 3.2). It is ``info_nce`` less
    log n: where each image is its own cluster, InfoNCE as a bound. Returns a scalar. Raises
    ValueError for other shapes and for a single pair.

    >>> round(ci_infonce(torch.eye(4), torch.eye(4), 0.01).item(), 4)  # -log 4
    -1.3863
    """
    return info_nce(x, y, temperature, rows=rows) - math.log(len(x))


def draw_partners(cluster: Tensor, generator: torch.Generator) -> Tensor:
    """A partner for each sample from its own cluster, so that (x_i, y_partner(i)) are its pairs.

    A random permutation of each cluster's members: every partner is equally likely, the sample
    itself too, and every sample is a partner once. cluster int64 (N,), negative: not known, its own
    partner. Returns int64 (N,).

    >>> draw_partners(torch.tensor([5, 7, 9]), torch.Generator()).tolist()
    [0, 1, 2]
    """
    cluster = known_or_alone(cluster)
    order = torch.randperm(len(cluster), generator=generator, device=cluster.device)
    partner = torch.empty_like(order)
    partner[cluster.argsort(stable=True)] = order[cluster[order].argsort(stable=True)]
    return partner


class CIInfoNCEOptions(Options):
    temperature: Divisor = Field(0.1, description="divides the cosine similarities")


def _compute(x: Inputs, o: CIInfoNCEOptions) -> dict[str, Tensor]:
    return {"loss": ci_infonce(*x.pair, o.temperature, rows=x.rows)}


def _minimum(o: CIInfoNCEOptions, n: int, v: int, c: int) -> float:
    return simplex(o.temperature, n // c, n - n // c, c) - math.log(n)


CI_INFONCE_OBJECTIVE = Objective(
    name="ci-infonce",
    summary="tell the other image of a pair from one cluster from all other pairs' (one positive)",
    formula="-mean_i log( exp(s_ii) / (1/n sum_j exp(s_ij)) )",
    paper="CI-InfoNCE, Tsai et al. 2021, equation 1",
    options=CIInfoNCEOptions,
    compute=_compute,
    minimum=_minimum,
    chance=lambda o, n, v, c, dim: 0.0,
    scores="pairs",
    partners=True,
    across_ranks="keys",
    target="any",
    negatives=("batch",),
    positives=("instance", "clusters"),
)
