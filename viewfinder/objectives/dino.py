"""DINO: the student predicts the centred and sharpened output of its teacher."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, shares, world_size
from viewfinder.core.expect import check_same_device, check_several, check_whole
from viewfinder.core.ranges import Count, Divisor
from viewfinder.core.schedules import linear
from viewfinder.core.validation import given
from viewfinder.objectives.assigner import CosineAssigner, assignments
from viewfinder.objectives.contract import Inputs, Objective, Options, Progress
from viewfinder.objectives.contrast import check_temperature
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.similarity import check_pair, float32_or_better
from viewfinder.objectives.swav import swapped_prediction


def dino(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    center: Tensor,
    teacher_temperature: float = 0.04,
    student_temperature: Temperature = 0.1,
) -> Tensor:
    """Self-distillation without labels (Caron et al. 2021, equations 1 and 3).

        t_i  = softmax((teacher_i - center) / teacher_temperature), a constant
        loss = mean over i != v of mean_n -sum_k t_i[n, k] log softmax(student_v[n] / temperature)_k

    student  one float (N, K) a view, the large crops first, then the small ones
    teacher  one float (N, K) for each of the large crops, in the same order: a view does not
             predict itself
    center   float (K,), see ``moved_center``: without it one output wins everywhere
    Returns a scalar. Raises ValueError for other shapes, one view only, or temperatures <= 0.
    """
    _check_views(student, teacher, center)
    for temperature in (teacher_temperature, student_temperature):
        check_temperature(temperature)
    centred = [float32_or_better(x.detach()) - center for x in teacher]
    targets = [F.softmax(x / teacher_temperature, dim=1) for x in centred]
    return swapped_prediction(student, targets, student_temperature)


def _check_views(student: Sequence[Tensor], teacher: Sequence[Tensor], center: Tensor) -> None:
    check_several("student", student)
    check_several("teacher", teacher)
    if len(student) < 2 or not 1 <= len(teacher) <= len(student):
        raise ValueError(f"{len(teacher)} teacher views and {len(student)} student views")
    for view in (*student, *teacher):
        check_pair(student[0], view, ("the first view", "another view"))
    if center.shape != student[0].shape[1:]:
        raise ValueError(
            f"the centre must be ({student[0].shape[1]},), as many as the outputs, not "
            f"{tuple(center.shape)}"
        )
    check_same_device("the centre", center, "the outputs are", student[0])


@torch.no_grad()
def moved_center(center: Tensor, teacher: Sequence[Tensor], momentum: float = 0.9) -> Tensor:
    """momentum * center + (1 - momentum) * mean of all teacher outputs (equation 4): (K,).

    Where an output has overflowed, the centre stays as it is: one such step would otherwise be in
    it for good. The loss of that step, which is NaN, says that it has happened.
    """
    outputs = torch.cat([float32_or_better(x) for x in teacher])
    moved = (momentum * center + (1 - momentum) * outputs.mean(dim=0)).to(center.dtype)
    return torch.where(moved.isfinite().all(), moved, center)


class DINO(nn.Module):
    """The loss and its centre, for a training loop of one's own.

        loss = dino_loss(student_outputs, teacher_outputs, teacher_temperature)

    The centre is a buffer, saved with the state. In training mode it moves after each loss, by the
    outputs of all ranks; the mean of the losses over the ranks is the loss of one process on the
    joined batch. The teacher's temperature is an argument because it rises during training: see
    ``viewfinder.core.schedules.linear``. A student's temperature that is an nn.Parameter is
    learned.
    """

    center: Tensor

    def __init__(
        self, outputs: int, student_temperature: Temperature = 0.1, *, center_momentum: float = 0.9
    ) -> None:
        super().__init__()
        # refuses what no recipe may have either
        check_whole("outputs", outputs, 2)
        learned = isinstance(student_temperature, Tensor)
        known = {} if learned else {"student_temperature": student_temperature}
        given(DINOOptions, center_momentum=center_momentum, **known)
        self.register_buffer("center", torch.zeros(outputs))
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum

    def forward(
        self,
        student: Sequence[Tensor],
        teacher: Sequence[Tensor],
        teacher_temperature: float = 0.04,
    ) -> Tensor:
        if world_size() == 1:
            return self.joined(student, teacher, teacher_temperature)
        # the centre needs the teacher's outputs of all ranks, each rank's loss only its own
        views = {"student": student, "teacher": teacher}
        given = {f"{name} {i}": x for name, own in views.items() for i, x in enumerate(own)}

        def check() -> None:
            _check_views(student, teacher, self.center)
            for temperature in (teacher_temperature, self.student_temperature):
                check_temperature(temperature)

        sizes = shares("dino", given, check)
        loss = dino(student, teacher, self.center, teacher_temperature, self.student_temperature)
        everyone = gather(torch.cat([x.detach() for x in teacher], dim=1), sizes)
        self.move(everyone.chunk(len(teacher), dim=1))
        return loss * len(teacher[0]) * len(sizes) / sum(sizes)

    def joined(
        self,
        student: Sequence[Tensor],
        teacher: Sequence[Tensor],
        teacher_temperature: float,
        student_temperature: Temperature | None = None,
    ) -> Tensor:
        """The loss of the views of all ranks, equal on every rank."""
        if student_temperature is None:
            student_temperature = self.student_temperature
        loss = dino(student, teacher, self.center, teacher_temperature, student_temperature)
        self.move(teacher)
        return loss

    def move(self, teacher: Sequence[Tensor]) -> None:
        """Move the centre by the teacher's outputs of all ranks, in training mode."""
        if self.training:
            # a new tensor, so that a loss computed before still has the centre it was made with
            self.center = moved_center(self.center, teacher, self.center_momentum)


class DINOOptions(Options):
    prototypes: int = Field(
        256, ge=2, le=1_000_000, description="outputs of the head; the paper has 65536"
    )
    student_temperature: Divisor = Field(0.1, description="divides the student's outputs")
    teacher_temperature: Divisor = Field(0.04, description="divides the teacher's outputs")
    first_teacher_temperature: Divisor | None = Field(
        None, description="the same at the start, from where it rises; null: no rise"
    )
    rise_epochs: Count | None = Field(
        None, description="epochs of the rise; null: a third of the run's"
    )
    center_momentum: float = Field(0.9, ge=0, lt=1, description="weight of the old centre")


def _teacher_temperature(progress: Progress, o: DINOOptions) -> float:
    if o.first_teacher_temperature is None:
        return o.teacher_temperature
    epochs = o.rise_epochs or max(1, round(progress.epochs / 3))
    return linear(progress.epoch, epochs + 1, o.first_teacher_temperature, o.teacher_temperature)


def _state(o: DINOOptions, dim: int, sizes: Sequence[int]) -> DINO:
    return DINO(o.prototypes, o.student_temperature, center_momentum=o.center_momentum)


def _compute(x: Inputs, o: DINOOptions) -> dict[str, Tensor]:
    teacher = _teacher_temperature(x.progress, o)
    used = assignments((x.target[0] - x.state.center) / teacher)
    loss = x.state.joined(x.online, x.target, teacher, o.student_temperature)
    return {"loss": loss, **used}


DINO_OBJECTIVE = Objective(
    name="dino",
    summary="the student predicts its teacher's centred and sharpened output of another view",
    formula="mean_{i != v} mean_n -sum_k softmax((t_i - c) / 0.04)_k log softmax(s_v / 0.1)_k",
    paper="DINO, Caron et al. 2021",
    options=DINOOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: 0.0,
    chance=lambda o, n, v, c, dim: math.log(dim),
    assigner=lambda o, dim: CosineAssigner(dim, o.prototypes),
    state=_state,
    scores="views",
    temperature="student_temperature",
    across_ranks="batch",
    target="constant",
    negatives=("none",),
    positives=("instance",),
    views=(2, None),
)
