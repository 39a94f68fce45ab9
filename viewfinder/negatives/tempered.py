"""Rows of a memory bank, drawn the more often the nearer they are."""

from __future__ import annotations

from functools import partial

from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Rows, Weight
from viewfinder.data.domain import Spec
from viewfinder.negatives.bank import Bank, MemoryOptions, memory_row
from viewfinder.negatives.pool import Chosen, Pool


def tempered(pool: Pool, draws: int, temperature: float) -> Chosen:
    """``draws`` rows with replacement, row j of query i with probability

        q(j | i) = exp( cos(i, j) / temperature ) / sum_k exp( cos(i, k) / temperature )

    A member of the family of corollary 3.1.2 of VINCE (Wu et al. 2020), which can be scored and
    sampled from. Example 4 there divides p(y) by t and normalises, as printed p(y) again; here the
    temperature is within the exponential. At temperature infinity the draws are uniform, at 0 each
    is the nearest row.
    """
    if temperature == 0:
        rows, _ = pool.nearest(1)
        return Chosen(rows.expand(-1, draws))

    def weigh(cosine: Tensor) -> Tensor:
        top = cosine.amax(dim=1, keepdim=True)
        weights = ((cosine - top).double() / temperature).exp()
        return weights.masked_fill(cosine == float("-inf"), 0)

    return Chosen(pool.drawn(draws, weigh).rows)


class TemperedOptions(MemoryOptions):
    draws: Rows = Field(4096, description="draws of each query, with replacement")
    temperature: Weight = Field(
        0.1, description="divides the cosines that rows are drawn by; 0: the nearest row alone"
    )


def _build(o: TemperedOptions, spec: Spec) -> Bank:
    return o.memory(spec, o.draws, partial(tempered, draws=o.draws, temperature=o.temperature))


TEMPERED = memory_row(
    name="tempered",
    summary="rows of a memory of one vector per datum, drawn the more often the nearer they are",
    paper="VINCE, Wu et al. 2020, example 4",
    options=TemperedOptions,
    bare="draws",
    build=_build,
    drawn=lambda o: o.draws,
)
