"""Ball discrimination: the nearest rows of a memory bank are the negatives."""

from __future__ import annotations

from functools import partial
from typing import Self

from pydantic import Field, model_validator

from viewfinder.core.errors import OptionError, UserError
from viewfinder.core.ranges import Rows
from viewfinder.data.domain import Spec
from viewfinder.negatives.bank import Bank, MemoryOptions, memory_row
from viewfinder.negatives.pool import Chosen, Pool


def ball(pool: Pool, size: int, draws: int | None = None) -> Chosen:
    """The ``size`` nearest rows, whole, or ``draws`` of them, uniform with replacement (VINCE, Wu
    et al. 2020, definition 5.2).

    The paper's background set B_i holds the query's own row too, which here is the positive: its
    |B_i| is size + 1. With all other rows it is instance discrimination (equation 6).
    """
    rows, _ = pool.nearest(size)
    return Chosen(rows if draws is None else rows.gather(1, pool.draws(draws, size)))


class BallOptions(MemoryOptions):
    size: Rows = Field(4096, description="the nearest rows, which are the ball")
    draws: Rows | None = Field(
        None, description="draws of each query from them, with replacement; null: all of them"
    )

    @model_validator(mode="after")
    def _enough_to_draw_from(self) -> Self:
        if self.draws is not None and self.draws > self.size:
            raise OptionError(
                f"@draws={self.draws} of the @size={self.size} nearest rows would weigh each of "
                f"them {self.draws / self.size:.3g} times",
                fix="@draws=null, which takes each once",
                own="draws=None, which takes each once",
            )
        return self


def check_ball(size: int, spec: Spec) -> None:
    """Raise UserError where a datum has no so many others."""
    if size >= spec.n > 1:
        raise UserError(
            f"negatives.size={size}, but a datum has only {spec.n - 1} others",
            fix=f"negatives.size={max(1, spec.n // 10)}",
        )


def _build(o: BallOptions, spec: Spec) -> Bank:
    check_ball(o.size, spec)
    return o.memory(spec, o.draws or o.size, partial(ball, size=o.size, draws=o.draws))


BALL = memory_row(
    name="ball",
    summary="the nearest rows of a memory of one vector per datum, whole or drawn from",
    paper="VINCE, Wu et al. 2020, definition 5.2",
    options=BallOptions,
    bare="size",
    build=_build,
    drawn=lambda o: o.draws or o.size,
)
