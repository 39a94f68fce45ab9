"""Rows of a memory bank between two similarities: what rejection sampling accepts."""

from __future__ import annotations

from functools import partial
from typing import Self

from pydantic import Field, model_validator

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Rows
from viewfinder.data.domain import Spec
from viewfinder.negatives.bank import Bank, MemoryOptions, memory_row
from viewfinder.negatives.pool import Chosen, Pool


def threshold(pool: Pool, draws: int, *, lower: float = -1.0, upper: float = 1.0) -> Chosen:
    """``draws`` of the rows whose cosine lies between the bounds, both included, uniform with
    replacement: data drawn from p(y) and accepted where lower <= f <= upper (VINCE, Wu et al. 2020,
    example 2).

    Example 1 as printed accepts f <= t: ``upper`` alone, the far rows. BALL, which the paper calls
    exactly that example, accepts f >= t: ``lower`` alone. The paper's f lies in [0, 1]; it is
    (1 + cosine) / 2. Where no row is accepted all others are drawn from.
    """
    return pool.drawn(draws, lambda cosine: (cosine >= lower) & (cosine <= upper))


class ThresholdOptions(MemoryOptions):
    draws: Rows = Field(4096, description="draws of each query, with replacement")
    lower: float = Field(-1.0, ge=-1, le=1, description="least cosine of a negative")
    upper: float = Field(1.0, ge=-1, le=1, description="greatest cosine of a negative")

    @model_validator(mode="after")
    def _there_is_room(self) -> Self:
        if self.lower > self.upper:
            raise OptionError(
                f"@lower={self.lower:g} is above @upper={self.upper:g}: no row has such a cosine",
                fix=f"@lower={self.upper:g} @upper={self.lower:g}",
            )
        return self


def _build(o: ThresholdOptions, spec: Spec) -> Bank:
    choose = partial(threshold, draws=o.draws, lower=o.lower, upper=o.upper)
    return o.memory(spec, o.draws, choose, tells=True)


THRESHOLD = memory_row(
    name="threshold",
    summary="rows of a memory of one vector per datum whose similarity is within bounds",
    paper="VINCE, Wu et al. 2020, examples 1 and 2",
    options=ThresholdOptions,
    bare="draws",
    build=_build,
    drawn=lambda o: o.draws,
    notes={
        "empty_sets": "no row was within negatives.lower and negatives.upper, and all others were "
        "used instead"
    },
)
