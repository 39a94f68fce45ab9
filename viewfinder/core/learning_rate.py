"""The table of learning-rate schedules: a factor of the base rate at each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.ranges import Count, Fraction, Positive
from viewfinder.core.schedules import multistep, warmup_cosine
from viewfinder.core.table import Options, Row, Table


@dataclass(frozen=True)
class Course:
    """How long a run is: steps in all, steps of linear warm-up, and epochs."""

    steps: int
    warmup: int
    epochs: int

    def epoch(self, step: int) -> int:
        """The epoch a step is in, from 0."""
        return step * self.epochs // self.steps

    def warmed(self, step: int) -> float:
        """The factor of the warm-up alone: 1 after it."""
        return 1.0 if step >= self.warmup else step / max(1, self.warmup - 1)


class Schedule(nn.Module):
    """A factor of the learning rate, as a function of the step."""

    def __init__(self, factor: Callable[[int, Course], float]) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, step: int, course: Course) -> float:
        """The factor at a step, counted from 0."""
        return self.factor(step, course)

    def observe(self, loss: float) -> None:
        """Learn of the mean loss of an epoch that has ended."""


class CosineOptions(Options):
    final: Fraction = Field(
        0.0, description="learning rate at the end, a fraction of the base rate"
    )


class StepOptions(Options):
    milestones: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.6, 0.8], max_length=100, description="where the rate falls, as fractions of the run"
    )
    gamma: Positive = Field(0.1, description="what it is multiplied by there")


class PlateauOptions(Options):
    patience: Count = Field(10, description="epochs without a lower loss before the rate falls")
    gamma: Positive = Field(0.1, description="what it is multiplied by there")
    reductions: Count = Field(2, description="how often it falls at most")
    threshold: Fraction = Field(
        1e-4, description="what counts as lower, as a fraction of the least loss"
    )


class Plateau(Schedule):
    """Falls where the loss of the epochs no longer does. What it has seen is saved with a run."""

    scale: Tensor
    least: Tensor
    waited: Tensor
    reductions: Tensor

    def __init__(self, options: PlateauOptions) -> None:
        super().__init__(lambda step, course: course.warmed(step))
        self.options = options
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("least", torch.full((), torch.inf, dtype=torch.float64))
        self.register_buffer("waited", torch.zeros((), dtype=torch.int64))
        self.register_buffer("reductions", torch.zeros((), dtype=torch.int64))

    def forward(self, step: int, course: Course) -> float:
        return super().forward(step, course) * float(self.scale)

    def observe(self, loss: float) -> None:
        o = self.options
        if loss < float(self.least - o.threshold * self.least.abs().nan_to_num(posinf=0)):
            self.least.fill_(loss)
            self.waited.zero_()
            return
        self.waited += 1
        if self.waited >= o.patience and self.reductions < o.reductions:
            self.scale *= o.gamma
            self.reductions += 1
            self.waited.zero_()


def _cosine(o: CosineOptions) -> Schedule:
    # The end is reached after the last step, so no step is wasted at a rate of 0.
    return Schedule(lambda t, c: warmup_cosine(t, c.steps, c.warmup, o.final, include_end=False))


def _step(o: StepOptions) -> Schedule:
    def factor(step: int, course: Course) -> float:
        milestones = [round(part * course.steps) for part in o.milestones]
        return course.warmed(step) * multistep(step, milestones, o.gamma)

    return Schedule(factor)


@dataclass(frozen=True, kw_only=True)
class ScheduleRow(Row):
    """A row of the table of learning-rate schedules.

    build  options -> the schedule
    """

    build: Callable[[Any], Schedule]


SCHEDULES = Table(
    "schedule",
    [
        ScheduleRow(
            name="cosine",
            summary="half a cosine down to a fraction, after the warm-up",
            paper="Loshchilov and Hutter 2017",
            options=CosineOptions,
            build=_cosine,
        ),
        ScheduleRow(
            name="step",
            summary="falls at milestones",
            options=StepOptions,
            build=_step,
        ),
        ScheduleRow(
            name="plateau",
            summary="falls where the loss of the epochs no longer does",
            options=PlateauOptions,
            build=Plateau,
        ),
        ScheduleRow(
            name="constant",
            summary="the same after the warm-up",
            build=lambda o: Schedule(lambda step, course: course.warmed(step)),
        ),
    ],
)
