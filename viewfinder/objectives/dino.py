"""DINO: the student predicts the centred and sharpened output of its teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from viewfinder.across_ranks import gather, rows_per_rank, world_size
from viewfinder.objectives.similarity import check_pair, float32_or_better
from viewfinder.objectives.swav import swapped_prediction


def dino(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    center: Tensor,
    teacher_temperature: float = 0.04,
    student_temperature: float = 0.1,
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
    if min(teacher_temperature, student_temperature) <= 0:
        raise ValueError(
            f"temperatures must be positive, not {teacher_temperature} and {student_temperature}"
        )
    if len(student) < 2 or not 1 <= len(teacher) <= len(student):
        raise ValueError(f"{len(teacher)} teacher views and {len(student)} student views")
    for view in (*student, *teacher):
        check_pair(student[0], view, ("the first view", "another view"))
    centred = [float32_or_better(x.detach()) - center for x in teacher]
    targets = [F.softmax(x / teacher_temperature, dim=1) for x in centred]
    return swapped_prediction(student, targets, student_temperature)


@torch.no_grad()
def moved_center(center: Tensor, teacher: Sequence[Tensor], momentum: float = 0.9) -> Tensor:
    """momentum * center + (1 - momentum) * mean of all teacher outputs (equation 4): (K,)."""
    outputs = torch.cat([float32_or_better(x) for x in teacher])
    return (momentum * center + (1 - momentum) * outputs.mean(dim=0)).to(center.dtype)


class DINO(nn.Module):
    """The loss and its centre, for a training loop of one's own.

        loss = dino_loss(student_outputs, teacher_outputs, teacher_temperature)

    The centre is a buffer, saved with the state. In training mode it moves after each loss, by the
    outputs of all ranks; the mean of the losses over the ranks is the loss of one process on the
    joined batch. The teacher's temperature is an argument because it rises during training: see
    ``training.schedules.linear``.
    """

    center: Tensor

    def __init__(
        self, outputs: int, student_temperature: float = 0.1, *, center_momentum: float = 0.9
    ) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(outputs))
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum

    def forward(
        self,
        student: Sequence[Tensor],
        teacher: Sequence[Tensor],
        teacher_temperature: float = 0.04,
    ) -> Tensor:
        loss = dino(student, teacher, self.center, teacher_temperature, self.student_temperature)
        everyone = [x.detach() for x in teacher]
        if world_size() > 1:
            sizes = rows_per_rank(len(teacher[0]), teacher[0].device)
            loss = loss * len(teacher[0]) * len(sizes) / sum(sizes)
            joined = gather(torch.cat(everyone, dim=1), sizes)
            everyone = list(joined.chunk(len(everyone), dim=1))
        if self.training:
            # a new tensor, so that a loss computed before still has the centre it was made with
            self.center = moved_center(self.center, everyone, self.center_momentum)
        return loss
