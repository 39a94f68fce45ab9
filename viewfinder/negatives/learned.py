"""VINCE+, repaired: draws from a memory bank by an acceptance that is learned."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from viewfinder.core.errors import OptionError
from viewfinder.core.expect import check_between, check_whole
from viewfinder.core.ranges import Rows, Weight
from viewfinder.data.domain import Spec
from viewfinder.negatives.bank import Bank, MemoryOptions, memory_row
from viewfinder.negatives.contract import Proposal
from viewfinder.negatives.pool import Chosen, Pool, by_weight

GAIN = 10.0
"""Of g, so that steps of the size that weights of networks take move it within some epochs."""


class Acceptance(nn.Module):
    """Draws rows y of a memory for each query y_1 by rejection with a learned acceptance r:

        q(y | y_1) = r(y | y_1) p(y) / Z(y_1),   Z(y_1) = E_p(y) r(y | y_1)
        r(y | y_1) = least + (1 - least) sigmoid( 10 g( cos(y, y_1) ) )

    with p uniform over the rows and g piecewise linear with ``knots`` parameters, so that a ball,
    an annulus and ``tempered`` are all among what can be learned. At the start r is ``rate``
    everywhere: instance discrimination.

    This is a repair of VINCE+ (Wu et al. 2020, appendix C). Equation 17 cannot learn r: its q = r p
    is not normalised, and so its value is the same for every r; with q normalised it grows without
    end as r goes to 0. Here q is normalised by the mean of r over the memory, r is never below
    ``least``, and as q is the same for r and 2 r, what fixes its size is a cost

        rate_weight (log Z(y_1) - log rate)^2

    The objective that trains it is ``vince-plus``. No lower bound of the information.

    draws        rows for each query, with replacement
    knots        of g, evenly spaced over cosines from -1 to 1
    least        smallest acceptance, in (0, 1)
    rate         share of the rows that is to be accepted, in (least, 1)
    rate_weight  of the cost
    start        epochs before, in which r stays as it is
    """

    def __init__(
        self,
        draws: int,
        *,
        knots: int = 17,
        least: float = 0.01,
        rate: float = 0.1,
        rate_weight: float = 1.0,
        start: int = 0,
    ) -> None:
        super().__init__()
        check_whole("draws", draws)
        check_whole("knots", knots, least=2)
        check_whole("start", start, least=0)
        check_between("rate", rate, 0, 1)
        check_between("least", least, 0, rate)
        check_between("rate_weight", rate_weight, 0, math.inf, ends=True)
        self.draws, self.least, self.start = draws, least, start
        self.rate, self.rate_weight = rate, rate_weight
        share = (rate - least) / (1 - least)
        self.g = nn.Parameter(torch.full((knots,), math.log(share / (1 - share)) / GAIN))

    def log_acceptance(self, cosine: Tensor) -> Tensor:
        """log r of cosines of any shape, with gradients for g."""
        at, part = self._between(cosine)
        return self._acceptance(torch.lerp(self.g[at], self.g[at + 1], part)).log()

    def forward(self, pool: Pool) -> Chosen:
        """Rows int64 (N, draws) and how they were drawn. Of the N x M acceptances a block is there
        at a time, in the backward pass none: the slope of Z is taken on the way."""
        u = pool.fractions(self.draws)
        rows, cosine = u.new_empty(u.shape, dtype=torch.int64), self.g.new_empty(u.shape)
        z, slope = self.g.new_empty(len(u)), self.g.new_zeros(len(u), len(self.g))
        others = len(pool.table) - (pool.own is not None)
        with torch.no_grad():
            for block, s in pool.cosines():
                s = s.to(self.g)
                apart = s == float("-inf")
                s.masked_fill_(apart, 0)
                at, part = self._between(s)
                r = self._acceptance(torch.lerp(self.g[at], self.g[at + 1], part))
                r.masked_fill_(apart, 0)
                rows[block] = by_weight(r, u[block])
                cosine[block] = s.gather(1, rows[block])
                z[block] = r.sum(dim=1) / others
                steep = GAIN * (r - self.least) * (1 - r) / (1 - self.least)
                steep.masked_fill_(apart, 0)
                slope[block] = (
                    slope[block]
                    .scatter_add(1, at, steep * (1 - part))
                    .scatter_add(1, at + 1, steep * part)
                ) / others
        # the value of log Z, and its exact gradient for g
        toward = (slope / z[:, None]) @ self.g
        log_z = z.log() + toward - toward.detach()
        log_q = self.log_acceptance(cosine) - log_z[:, None] - math.log(others)
        cost = self.rate_weight * (log_z - math.log(self.rate)) ** 2
        if pool.epoch < self.start:  # known to take part, and unmoved
            log_q, cost = log_q.detach() + 0 * self.g.sum(), cost.detach() + 0 * self.g.sum()
        return Chosen(rows, None, Proposal(log_q, cost, z))

    def _between(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """The knot below each cosine, and how far it is from there to the next, in [0, 1]."""
        place = (cosine.clamp(-1, 1) + 1) / 2 * (len(self.g) - 1)
        at = place.floor().clamp(max=len(self.g) - 2)
        return at.long(), place - at

    def _acceptance(self, g: Tensor) -> Tensor:
        return self.least + (1 - self.least) * (GAIN * g).sigmoid()


class LearnedOptions(MemoryOptions):
    draws: Rows = Field(1024, description="draws of each query, with replacement")
    rate: float = Field(
        0.1, ge=0.001, le=0.99, description="share of the memory that is to be accepted"
    )
    rate_weight: Weight = Field(1.0, description="of the cost of another rate")
    least: float = Field(
        0.0005, ge=1e-6, le=0.5, description="smallest acceptance, below negatives.rate"
    )
    knots: int = Field(17, ge=2, le=1_000, description="parameters of the acceptance")

    @model_validator(mode="after")
    def _the_least_is_below_the_rate(self) -> Self:
        if self.least >= self.rate:
            raise OptionError(
                f"@least={self.least:g} is not below @rate={self.rate:g}",
                fix=f"@least={self.rate / 10:g}",
            )
        return self


def _build(o: LearnedOptions, spec: Spec) -> Bank:
    own: dict[str, Any] = {n: getattr(o, n) for n in ("knots", "least", "rate", "rate_weight")}
    choose = Acceptance(o.draws, start=o.start, **own)
    return o.model_copy(update={"start": 0}).memory(spec, o.draws, choose)


LEARNED = memory_row(
    name="learned",
    summary="rows of a memory of one vector per datum, drawn by an acceptance that is learned",
    paper="VINCE, Wu et al. 2020, appendix C, repaired",
    options=LearnedOptions,
    bare="draws",
    build=_build,
    drawn=lambda o: o.draws,
    learns=True,
)
