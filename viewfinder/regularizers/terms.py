"""What is added to an objective: reconstruction, lower bound estimate, MIB, IP, the KL prior.

All are minimised but ``lower_bound_estimate``, which is maximised. Formulas are those of the paper
on minimal sufficient representations (Wang et al. 2022); where its released code, InfoCL, differs,
its convention is an option.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from viewfinder.core.across_ranks import gather, own_rows, rows_per_rank, world_size
from viewfinder.objectives.info_nce import info_nce_from_scores
from viewfinder.objectives.log_partition import full_precision
from viewfinder.objectives.similarity import check_pair, float32_or_better

Constant = Literal["natural", "log2"]
Likelihood = Literal["gaussian", "laplace", "bernoulli"]
Elements = Literal["sum", "mean"]
SumOver = Literal["noisy", "means"]


def kl_to_uniform(logits: Tensor, *, constant: Constant = "natural") -> Tensor:
    """KL(P || uniform) = log K + sum_k P_k log P_k of the mean assignment P = mean_i softmax_i.

    (CARL, equations 5 and 6.) In nats: 0 where all classes are used alike, log K where all rows are
    sure of the same one.

    logits    float (N, K), K >= 2
    constant  "log2": with log_2 K instead of log K, as the equation is printed
    Returns a scalar. Raises ValueError for other shapes.

    >>> kl_to_uniform(100 * torch.eye(4)).item()
    0.0
    """
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits):
        raise ValueError(f"logits must be (N, K) with K >= 2, not {tuple(logits.shape)}")
    classes = logits.shape[1]
    log_p = F.log_softmax(float32_or_better(logits), dim=1)
    log_mean = log_p.logsumexp(dim=0) - math.log(len(logits))
    divergence = (log_mean.exp() * (log_mean + math.log(classes))).sum()
    return divergence + constant_offset(classes, constant)


def constant_offset(classes: int, constant: Constant) -> float:
    """What the printed constant is too large by: 0 for the natural one."""
    return 0.0 if constant == "natural" else math.log2(classes) - math.log(classes)


def reconstruction(
    decoded: Tensor,
    view: Tensor,
    likelihood: Likelihood = "gaussian",
    *,
    elements: Elements = "sum",
) -> Tensor:
    """RC: -log q(v | z) of a view, up to its constants (implementation I).

        gaussian   mean_i sum_e (v_ie - mu_ie)^2
        laplace    mean_i sum_e |v_ie - mu_ie|
        bernoulli  mean_i sum_e -v_ie log s(mu_ie) - (1 - v_ie) log(1 - s(mu_ie)), s the sigmoid

    Less of it is more information about the view in the features it was decoded from.

    decoded   float (N, ...), mu: the decoder's output
    view      the same shape: what the encoder saw; a constant. In [0, 1] for the Bernoulli
    elements  "mean" over the elements of an image instead of their sum, as the released code has it
    Returns a scalar for one view; the views' terms are added. Raises ValueError for other shapes.

    >>> reconstruction(torch.zeros(2, 3), torch.ones(2, 3)).item()
    3.0
    """
    if decoded.shape != view.shape or decoded.ndim < 2 or not len(decoded):
        raise ValueError(
            f"decoded and view must be (N, ...) of one shape, not {tuple(decoded.shape)} and "
            f"{tuple(view.shape)}"
        )
    decoded, view = float32_or_better(decoded), view.to(float32_or_better(decoded).dtype)
    if likelihood == "gaussian":
        losses = (decoded - view).square()
    elif likelihood == "laplace":
        losses = (decoded - view).abs()
    else:
        losses = F.binary_cross_entropy_with_logits(decoded, view, reduction="none")
    return losses.mean() if elements == "mean" else losses.flatten(1).sum(dim=1).mean()


def add_noise(features: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """z = f(v) + sigma * e with e standard normal: a sample of p(z | v) = N(f(v), sigma^2)."""
    noise = torch.randn(
        features.shape, generator=generator, dtype=features.dtype, device=features.device
    )
    return features + sigma * noise


def default_rho(dim: int) -> float:
    """LBE's rho for features of ``dim`` dimensions: 25.6 / dim.

    Squared distances grow with the number of dimensions, and past 1 / rho there is hardly any push
    left. The paper has 0.05 throughout; its released code 0.05 with 512 dimensions (ResNet-18) and
    0.0125 with 2048 (ResNet-50), which this goes through.

    >>> default_rho(512), default_rho(2048)
    (0.05, 0.0125)
    """
    return 25.6 / dim


def lower_bound_estimate(
    mean: Tensor, noisy: Tensor, rho: float | None = None, *, sum_over: SumOver = "noisy"
) -> Tensor:
    """LBE: what of the InfoNCE bound on I(z, v) depends on the encoder; to be maximised.

    (Implementation II.)

        -1/N sum_k log sum_l exp( -rho || z_l - f(v_k) ||^2 )      (equation 14)

    It pushes the features of different images apart. ``information_estimate`` gives the bound.

    mean      float (N, D), f(v): features, the views of a batch together
    noisy     float (N, D), z = f(v) + sigma * e, see ``add_noise``
    rho       scale; 1 / (2 sigma^2) would be the exact density. None: ``default_rho(D)``
    sum_over  "noisy": over z_l for each f(v_k), as equation 14; "means": over f(v_l) for each z_k,
              as the released code has it
    Returns a scalar. Across ranks it is that of the joined batch: every rank must call it, and the
    mean over the ranks is the value of one process. Raises ValueError for other shapes.
    """
    check_pair(mean, noisy, ("mean", "noisy"))
    rho = default_rho(mean.shape[1]) if rho is None else rho
    if world_size() == 1:
        return _spread(mean, noisy, rho, sum_over, slice(None))
    sizes = rows_per_rank(len(mean), mean.device)
    all_means, all_noisy = gather(torch.cat([mean, noisy], dim=1), sizes).chunk(2, dim=1)
    share = len(mean) * len(sizes) / sum(sizes)
    return share * _spread(all_means, all_noisy, rho, sum_over, own_rows(sizes))


def information_estimate(
    mean: Tensor, noisy: Tensor, rho: float, *, sum_over: SumOver = "noisy"
) -> Tensor:
    """InfoNCE lower bound on I(z, v) in nats, at most log N (implementation II).

        log N - 1/N sum_k [ rho || z_k - f(v_k) ||^2 + log sum_l exp( -rho || z_l - f(v_k) ||^2 ) ]

    Its expectation is below the information for every ``rho``. At 1 / (2 sigma^2), the exact
    density, ``sum_over="means"`` is as close to it as InfoNCE comes; equation 14's own sum, shown
    here, lacks the density of z and stays further below. Arguments as in ``lower_bound_estimate``;
    of this process alone. Returns a scalar.
    """
    check_pair(mean, noisy, ("mean", "noisy"))
    scores = -rho * _squared_distances(*_anchors_and_keys(mean, noisy, sum_over))
    return math.log(len(mean)) - info_nce_from_scores(scores)


def inverse_predictive(first: Tensor, second: Tensor, *, elements: Elements = "sum") -> Tensor:
    """IP: mean_i || f_1(v_1i) - f_2(v_2i) ||^2, less of which is less non-shared information.

    MIB is the same number of the means of stochastic encoders: half the symmetrised divergence of
    N(f_1, sigma^2) and N(f_2, sigma^2), but for a constant factor; there the objective sees
    ``add_noise`` of them. float (N, D) both. ``elements="mean"``: over dimensions too, as the
    released code has it. Returns a scalar. Raises ValueError for other shapes.

    >>> inverse_predictive(torch.zeros(2, 3), torch.ones(2, 3)).item()
    3.0
    """
    check_pair(first, second, ("first", "second"))
    squares = (float32_or_better(first) - float32_or_better(second)).square()
    return squares.mean() if elements == "mean" else squares.sum(dim=1).mean()


def _spread(mean: Tensor, noisy: Tensor, rho: float, sum_over: SumOver, own: slice) -> Tensor:
    anchors, keys = _anchors_and_keys(mean, noisy, sum_over)
    return -(-rho * _squared_distances(anchors[own], keys)).logsumexp(dim=1).mean()


def _anchors_and_keys(mean: Tensor, noisy: Tensor, sum_over: SumOver) -> tuple[Tensor, Tensor]:
    mean, noisy = float32_or_better(mean), float32_or_better(noisy)
    return (mean, noisy) if sum_over == "noisy" else (noisy, mean)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M). From products, but around the centre: far from the origin the
    squares would be large and their differences inexact."""
    with full_precision(x):
        centre = y.detach().mean(dim=0)
        x, y = x - centre, y - centre
        return x.square().sum(dim=1)[:, None] + y.square().sum(dim=1) - 2 * x @ y.T
