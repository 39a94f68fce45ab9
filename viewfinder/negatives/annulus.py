"""Annulus discrimination: near rows of a memory bank, without those that are too near."""

from __future__ import annotations

from functools import partial
from typing import Self

import torch
from pydantic import Field, model_validator

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import CountOrNone
from viewfinder.data.domain import Spec
from viewfinder.negatives.ball import BallOptions, check_ball
from viewfinder.negatives.bank import Bank, memory_row
from viewfinder.negatives.pool import Chosen, Pool, by_weight


def annulus(
    pool: Pool,
    size: int,
    draws: int | None = None,
    *,
    upper: float | None = None,
    inner: int = 0,
    clusters: bool = True,
) -> Chosen:
    """The ball without what is close: B_i \\ C_i (VINCE, Wu et al. 2020, definition 5.3).

    upper     neighbours of greater cosine are close (example 2, the upper threshold; the lower one
              is how near the last of the ball is)
    inner     so many of the nearest are close, as the rings of the authors' later code have it
    clusters  rows of the query's cluster are close: of several clusterings, of its cluster in any
              (the paper's C_i). Of a datum whose cluster is not known no row is
    What any of them calls close is left out. Where nothing remains, the ball stands instead.
    ``draws``: so many of what remains, uniform with replacement; None: all that remains.
    """
    rows, cosines = pool.nearest(size)
    keep = torch.ones_like(rows, dtype=torch.bool)
    keep[:, :inner] = False
    if upper is not None:
        keep &= cosines <= upper
    if clusters:
        theirs = pool.cluster[rows]
        same = (theirs == pool.cluster[pool.index][:, None]) & (theirs >= 0)
        keep &= ~(same.any(dim=2) if same.ndim == 3 else same)
    empty = ~keep.any(dim=1)
    keep |= empty[:, None]
    if draws is None:
        return Chosen(rows.masked_fill(~keep, -1), empty)
    return Chosen(rows.gather(1, by_weight(keep, pool.fractions(draws))), empty)


class AnnulusOptions(BallOptions):
    upper: float | None = Field(
        None, ge=-1, le=1, description="neighbours of greater cosine are left out; null: none is"
    )
    inner: CountOrNone = Field(0, description="so many of the nearest are left out")
    clusters: bool = Field(
        True, description="rows of the query's cluster are left out, where positives make clusters"
    )

    @model_validator(mode="after")
    def _something_is_close(self) -> Self:
        if self.upper is None and not self.inner and not self.clusters:
            raise OptionError(
                "an annulus leaves nothing out: @upper, inner and clusters are off",
                fix="negatives=ball, or @inner=40",
            )
        if self.inner >= self.size:
            raise OptionError(
                f"@inner={self.inner} leaves nothing of the @size={self.size} nearest rows",
                fix=f"@inner={self.size // 10}",
            )
        return self


def _build(o: AnnulusOptions, spec: Spec) -> Bank:
    check_ball(o.size, spec)
    choose = partial(
        annulus, size=o.size, draws=o.draws, upper=o.upper, inner=o.inner, clusters=o.clusters
    )
    return o.memory(spec, o.draws or o.size, choose, labelled=False, tells=True)


ANNULUS = memory_row(
    name="annulus",
    summary="the nearest rows of a memory of one vector per datum, without those too near",
    paper="VINCE, Wu et al. 2020, definition 5.3",
    options=AnnulusOptions,
    bare="size",
    build=_build,
    drawn=lambda o: o.draws or o.size,
    notes={
        "empty_sets": "nothing of the annulus remained, and the whole ball was used instead; more "
        "clusters or a larger negatives.size leave more"
    },
)
