"""Noise-contrastive estimation: tell a datum's own row of a memory bank from uniform noise."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.across_ranks import shares, world_size
from viewfinder.core.ranges import Divisor, Fraction
from viewfinder.core.validation import given
from viewfinder.negatives.contract import EMPTY, Contrast
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import check_temperature
from viewfinder.objectives.gathered import Reduced, each_or_all, gathered
from viewfinder.objectives.info_nce import check_positives, positive_scores
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.relations import Relations


def nce(
    query: Tensor,
    key: Tensor | None,
    negatives: Contrast,
    temperature: Temperature = 0.07,
    *,
    log_z: Tensor | float,
    epsilon: float = 1e-7,
) -> Tensor:
    """Noise-contrastive estimation with uniform noise (Gutmann and Hyvärinen 2010; Wu et al. 2018,
    equation 7; CMC, Tian et al. 2020).

        loss = mean_i -log( P_i / (P_i + K/M) ) - sum_k log( (K/M) / (P_ik + K/M) ),
        P = exp(cosine / temperature) / Z

    with K rows of the table as noise, of its M rows each with probability 1/M.

    query, key   float (N, D), any scale: normalised inside. key None: the contrast's positive, the
                 query's own row of a bank
    negatives    the noise, see ``Contrast``. Rows of a query's own image do not count for it where
                 the contrast knows them by ``own``; the released code's noise does not look
    temperature  > 0, a number or a tensor () that is learned
    log_z        log of Z, a constant: see ``log_normaliser``
    epsilon      added to both denominators, as released code does; 0: as the papers have it
    Returns a scalar, with gradients for query, key, table and temperature. Where a query has no
    noise its loss is 0. Raises ValueError for other shapes.
    """
    query, own, pairs = positive_scores(query, key, negatives, temperature)
    count, total = _noise(query / temperature, pairs, log_z, epsilon)
    level = _level(count, len(negatives.table))
    noisy = (level + epsilon).log()
    positive = F.softplus(noisy - (own - log_z))
    # log( c / (P + c + epsilon) ) = log( (c + epsilon) / (P + c + epsilon) ) - log(1 + epsilon / c)
    constant = count * (epsilon / level).log1p()
    return torch.where(count > 0, positive + total + constant, 0).mean()


@torch.no_grad()
def log_normaliser(
    query: Tensor, key: Tensor | None, negatives: Contrast, temperature: Temperature = 0.07
) -> Tensor:
    """log of Z = M * the mean of exp(cosine / temperature) over a batch's positives and noise.

    Arguments as those of ``nce``; a tensor (). With several processes the mean is over the pairs of
    all ranks, and every rank must call this.
    """
    query, own, pairs = positive_scores(query, key, negatives, temperature)
    counts = torch.zeros_like(own)

    def reduce(block: slice, s: Tensor) -> Reduced:
        if (out := pairs.left_out(block)) is not None:
            s.masked_fill_(out, float("-inf"))
        counts[block] = s.isfinite().sum(dim=1).to(s.dtype)
        return [(s.logsumexp(dim=1), s)]

    (noise,) = gathered(query / temperature, *each_or_all(negatives), reduce, 1)
    total = torch.cat([own, noise]).double().logsumexp(dim=0)
    seen = torch.stack([total, (counts.double() + 1).sum()])
    if world_size() > 1:
        everyone = [torch.empty_like(seen) for _ in range(world_size())]
        dist.all_gather(everyone, seen)
        sums, numbers = torch.stack(everyone).unbind(1)
        seen = torch.stack([sums.logsumexp(dim=0), numbers.sum()])
    return seen[0] - seen[1].log() + math.log(len(negatives.table))


def _noise(
    query: Tensor, pairs: Relations, log_z: Tensor | float, epsilon: float
) -> tuple[Tensor, Tensor]:
    """The number of noise rows of each query, and the sum of their losses, (N,) each."""
    count = query.new_zeros(len(query))
    table = pairs.contrast.table

    def reduce(block: slice, s: Tensor) -> Reduced:
        out = pairs.left_out(block)
        counts = torch.ones_like(s) if out is None else (~out).expand_as(s).to(s.dtype)
        count[block] = counts.sum(dim=1)
        noisy = (_level(count[block], len(table)) + epsilon).log()
        above = s.sub_(noisy[:, None] + log_z)
        return [((F.softplus(above) * counts).sum(dim=1), above.sigmoid() * counts)]

    (total,) = gathered(query, *each_or_all(pairs.contrast), reduce, 1)
    return count, total


def _level(count: Tensor, rows: int) -> Tensor:
    """K / M; of a query without noise, whose loss is 0 anyway, 1 / M."""
    return count.clamp(min=1) / rows


class NCE(nn.Module):
    """The loss and its normaliser Z, for a training loop of one's own.

        loss = nce_loss(z, None, bank.propose(z, index)); bank.update(z.detach(), index)

    temperature  > 0; an nn.Parameter is learned
    mean_exp     Z / M, the mean of exp(cosine / temperature) over the table, which is held fixed;
                 None: estimated from the first batch, of all ranks, and held from then on. The
                 released code of Local Aggregation has 2876934.2 / 1281167 at temperature 0.07
    epsilon      see ``nce``

    The estimate is a buffer, saved with the state; it is made in training mode, of the first
    negatives that there are. Across ranks, with any number of samples each, the mean of the losses
    is the loss of one process.
    """

    log_mean: Tensor

    def __init__(
        self,
        temperature: Temperature = 0.07,
        *,
        mean_exp: float | None = None,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__()
        known = {} if isinstance(temperature, Tensor) else {"temperature": temperature}
        given(NCEOptions, mean_exp=mean_exp, epsilon=epsilon, **known)  # as in a recipe
        self.temperature, self.mean_exp, self.epsilon = temperature, mean_exp, epsilon
        self.register_buffer("log_mean", torch.tensor(float("-inf")))

    def forward(
        self,
        query: Tensor,
        key: Tensor | None,
        negatives: Contrast,
        *,
        temperature: Temperature | None = None,
    ) -> Tensor:
        known = {"query": query, "key": key, "negatives": negatives.table}
        given = {name: x for name, x in known.items() if x is not None}
        learned = self.temperature if temperature is None else temperature

        def check() -> None:
            check_positives(query, key, negatives)
            check_temperature(learned)

        sizes = shares("nce", given, check)
        loss = self.own(query, key, negatives, temperature=temperature)
        return loss * (len(query) * len(sizes) / sum(sizes))

    def own(
        self,
        query: Tensor,
        key: Tensor | None,
        negatives: Contrast,
        *,
        temperature: Temperature | None = None,
    ) -> Tensor:
        """The mean over this process' own samples; the estimate is of those of all."""
        temperature = self.temperature if temperature is None else temperature
        rows = math.log(len(negatives.table))
        log_mean: Tensor | float = self.log_mean
        if self.mean_exp is not None:
            log_mean = math.log(self.mean_exp)
        elif bool(self.log_mean.isneginf()):
            log_mean = log_normaliser(query, key, negatives, temperature).detach() - rows
            noise = negatives.index is None or bool((negatives.index != EMPTY).any())
            if self.training and noise and bool(log_mean.isfinite()):
                self.log_mean.copy_(log_mean)
        log_z = log_mean + rows
        return nce(query, key, negatives, temperature, log_z=log_z, epsilon=self.epsilon)


class NCEOptions(Options):
    temperature: Divisor = Field(0.07, description="divides the cosine similarities")
    mean_exp: float | None = Field(
        None, ge=1e-30, le=1e30,
        description="Z / M, the mean of exp(similarity / temperature), held fixed; null: "
        "estimated from the first batch"
    )  # fmt: skip
    epsilon: Fraction = Field(
        1e-7, description="added to the denominators, as in released code; 0 as in the papers"
    )


def _compute(x: Inputs, o: NCEOptions) -> dict[str, Tensor]:
    assert x.negatives is not None  # the table says that it needs them
    key = x.target[0] if x.target else None
    return {"loss": x.state.own(x.online[0], key, x.negatives, temperature=o.temperature)}


NCE_OBJECTIVE = Objective(
    name="nce",
    summary="tell the key of a query from noise drawn from a memory bank, one by one",
    formula="mean_i -log( P_i / (P_i + K/M) ) - sum_k log( (K/M) / (P_ik + K/M) ), P = exp(s) / Z",
    paper="Gutmann and Hyvärinen 2010; Wu et al. 2018; CMC, Tian et al. 2020",
    options=NCEOptions,
    compute=_compute,
    minimum=None,
    scores="pairs",
    state=lambda o, dim, sizes: NCE(**o.model_dump()),
    across_ranks="nothing",
    target="any",
    negatives=("table",),
    positives=("instance",),
)
