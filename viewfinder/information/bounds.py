"""Bounds on mutual information as functions of a critic's scores, in nats.

Scores are (N, K), floating, N ≤ K: entry (i, j) is f(x_i, y_j), and the pair (x_i, y_i) is drawn
jointly, all others apart. Where row i has its pair in another column, ``positive`` says in which:
one for all rows, or int64 (N,). The result is a scalar of the scores' dtype, with gradients; divide
by ``NATS_PER_BIT`` for bits. Everything raises ValueError for scores of another shape.

What is bounded, and by what, is declared by the rows of ``viewfinder.information.table.BOUNDS``: of
several of these the mean over finite samples is no lower bound of I(X;Y), and none of them may be
read as one because it is large.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

NATS_PER_BIT = math.log(2)


def barber_agakov(log_q: Tensor, log_p: Tensor) -> Tensor:
    """mean_i [log q(x_i|y_i) − log p(x_i)]: Barber and Agakov (2003); Wu et al. (2020, eq. 12).

    log_q, log_p  (N,), a normalised conditional log-density and that of x itself, at N pairs

    A lower bound for any q, tight where q is p(x|y), but only with the true p(x): an estimate of it
    turns the bound into an approximation.

    >>> barber_agakov(torch.tensor([0.0]), torch.tensor([0.5]).log()) / NATS_PER_BIT
    tensor(1.)
    """
    if log_q.ndim != 1 or log_q.shape != log_p.shape or not len(log_q):
        raise ValueError(
            f"log-densities (N,) of the same N ≥ 1 pairs are expected, got {tuple(log_q.shape)} "
            f"and {tuple(log_p.shape)}"
        )
    return (log_q - log_p).mean()


def info_nce(scores: Tensor, positive: int | Tensor | None = None) -> Tensor:
    """mean_i [f(x_i, y_i) − log (1/K) Σ_j e^f(x_i, y_j)]: van den Oord et al. (2018); Wu et al.
    (2020, eq. 2).

    The positive is one of the K candidates, so the value never exceeds log K.

    >>> info_nce(torch.eye(4) * 50)
    tensor(1.3863)
    """
    pairs, _ = _split(scores, positive)
    return (pairs - torch.logsumexp(scores, 1)).mean() + math.log(scores.shape[1])


def info_nce_both(scores: Tensor) -> Tensor:
    """The mean of ``info_nce`` of square scores and of their transpose: a bound like each."""
    _square(scores, "InfoNCE in both directions")
    return (info_nce(scores) + info_nce(scores.T)) / 2


def nwj(scores: Tensor, positive: int | Tensor | None = None) -> Tensor:
    """mean_i f(x_i, y_i) − mean_{i≠j} e^(f(x_i, y_j) − 1): Nguyen, Wainwright and Jordan (2010); Wu
    et al. (2020, eq. 14).

    Its best critic is 1 + log p(x,y) / (p(x) p(y)): of a log-ratio S it is ``nwj(S + 1)``.
    """
    pairs, others = _split(scores, positive)
    return pairs.mean() - (others - 1).exp().mean()


def uba(scores: Tensor) -> Tensor:
    """mean_j [f(x_j, y_j) − log Z(y_j)] with Z(y_j) = mean_{i≠j} e^f(x_i, y_j): the unnormalised
    Barber-Agakov bound, Poole et al. (2019); Wu et al. (2020, eq. 13), square scores.

    A lower bound with the true partition Z. With Z from samples, as here, it is none: the logarithm
    of a mean of few is too small.
    """
    size = _square(scores, "the unnormalised Barber-Agakov bound")
    own = torch.eye(size, dtype=torch.bool, device=scores.device)
    partition = scores.masked_fill(own, -torch.inf).logsumexp(0) - math.log(size - 1)
    return (scores.diagonal() - partition).mean()


def donsker_varadhan(scores: Tensor, positive: int | Tensor | None = None) -> Tensor:
    """mean_i f(x_i, y_i) − log mean_{i≠j} e^f(x_i, y_j): Donsker and Varadhan (1983); with a
    network as critic, MINE, Belghazi et al. (2018, eq. 10).

    A lower bound in the limit of infinitely many samples; of few it is none, as ``uba``.
    """
    pairs, others = _split(scores, positive)
    return pairs.mean() - _log_mean_exp(others)


def smile(scores: Tensor, clip: float = 5.0, positive: int | Tensor | None = None) -> Tensor:
    """``donsker_varadhan`` with f clipped to [−clip, clip] in the partition: Song and Ermon (2020,
    eq. 12).

    The clipping trades variance for a bias in either direction: no bound.
    """
    pairs, others = _split(scores, positive)
    return pairs.mean() - _log_mean_exp(others.clamp(-clip, clip))


def jensen_shannon(scores: Tensor, positive: int | Tensor | None = None) -> Tensor:
    """mean_i −softplus(−f(x_i, y_i)) − mean_{i≠j} softplus(f(x_i, y_j)): Nowozin et al. (2016);
    Hjelm et al. (2019, eq. 4).

    Bounds the Jensen-Shannon divergence, not the mutual information. Its best critic is the
    log-ratio, whose variance is small: SMILE trains with it.
    """
    pairs, others = _split(scores, positive)
    return -F.softplus(-pairs).mean() - F.softplus(others).mean()


def mine_loss(
    scores: Tensor, average: Tensor | None = None, decay: float = 0.99
) -> tuple[Tensor, Tensor]:
    """What MINE minimises, and the moving average of the partition for the next step: Belghazi et
    al. (2018, section 3.2).

    The gradient of log E e^f from one batch is biased by its denominator; here that is an
    exponential moving average over batches, log-domain: average ← decay · average + (1 − decay) ·
    mean_{i≠j} e^f. The loss has that gradient; the bound itself is ``donsker_varadhan``.

    average  log of the average so far, a scalar; None at the first step
    """
    pairs, others = _split(scores, None)
    partition = _log_mean_exp(others)
    now = partition.detach()
    if average is not None:
        now = torch.logaddexp(average + math.log(decay), now + math.log1p(-decay))
    return (partition - now).exp() - pairs.mean(), now


def _split(scores: Tensor, positive: int | Tensor | None) -> tuple[Tensor, Tensor]:
    """The scores of the pairs (N,), and of all others in one row."""
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise ValueError(f"scores (N, K) with K ≥ 2 are expected, got {tuple(scores.shape)}")
    n, k = scores.shape
    if positive is None:
        if n > k:
            raise ValueError(
                f"scores are {n} x {k}: with the pairs on the diagonal there are no more rows than "
                "columns; positive= says where they are otherwise"
            )
        where = torch.arange(n, device=scores.device)
    else:
        where = torch.as_tensor(positive, device=scores.device).expand(n)
    own = F.one_hot(where, k).bool()
    return scores.gather(1, where[:, None]).squeeze(1), scores[~own]


def _square(scores: Tensor, what: str) -> int:
    """The side of square scores."""
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"{what} takes scores (N, N), N ≥ 2, got {tuple(scores.shape)}")
    return len(scores)


def _log_mean_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, 0) - math.log(len(x))
