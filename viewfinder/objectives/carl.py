"""CARL: two views are assigned to the same prototype, and all prototypes are used alike."""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from viewfinder.core.errors import OptionError
from viewfinder.core.expect import check_whole, check_word
from viewfinder.core.ranges import Count, Weight
from viewfinder.core.schedules import decay
from viewfinder.core.validation import given
from viewfinder.objectives.assigner import LinearAssigner, assignments
from viewfinder.objectives.contract import Inputs, Objective, Options, Progress
from viewfinder.objectives.correlation import check_statistics
from viewfinder.objectives.similarity import check_pair, float32_or_better

Constant = Literal["natural", "log2"]
MeanOver = Literal["anchor", "both"]
Decay = Literal["linear", "exponential", "cosine"]


def kl_to_uniform(logits: Tensor, *, constant: Constant = "natural") -> Tensor:
    """KL(P || uniform) = log K + sum_k P_k log P_k of the mean assignment P = mean_i softmax_i.

    (CARL, equations 5 and 6.) In nats: 0 where all classes are used alike, log K where all rows are
    sure of the same one.

    It is no row of the table of regularizers: without it the best solution is one prototype for
    all, and its weight falls by a schedule of its own inside equations 7 and 8. So it is a part of
    the loss, not an addition to it.

    logits    float (N, K), K >= 2
    constant  "log2": with log_2 K instead of log K, as the equation is printed
    Returns a scalar. Raises ValueError for other shapes.

    >>> kl_to_uniform(100 * torch.eye(4)).item()
    0.0
    """
    check_word("constant", constant, Constant)
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits):
        raise ValueError(f"logits must be (N, K) with K >= 2, not {tuple(logits.shape)}")
    classes = logits.shape[1]
    log_p = F.log_softmax(float32_or_better(logits), dim=1)
    log_mean = log_p.logsumexp(dim=0) - math.log(len(logits))
    divergence = (log_mean.exp() * (log_mean + math.log(classes))).sum()
    return divergence + constant_offset(classes, constant)


def constant_offset(classes: int, constant: Constant) -> float:
    """What the printed constant is too large by: 0 for the natural one."""
    return 0.0 if constant == "natural" else math.log2(classes) - math.log(classes)


def carl(
    anchor: Tensor,
    positive: Tensor,
    weight: float = 1.0,
    *,
    mean_over: MeanOver = "anchor",
    constant: Constant = "natural",
) -> dict[str, Tensor]:
    """Consistent assignment of two views to K prototypes (CARL, Silva and Ramírez Rivera 2021).

        loss        = consistency + weight * kl                        (equation 7)
        consistency = -1/N sum_i log < p_i, p_i+ >,   p = softmax(logits)   (equation 4)
        kl          = log K + sum_k P_k log P_k,   P = mean_i p_i      (equations 5 and 6)

    computed from the logarithms of p, so that no confidence is too great. The least loss is 0:
    every view sure of its prototype, every prototype with the same number of samples.

    anchor, positive  float (N, K), N, K >= 2: the assigner's outputs for two views, row i of both
                      is sample i. Gradients flow into both; in the paper's figure 1 the positive
                      has none: give it detached
    weight            lambda_e, falls during training: see ``viewfinder.core.schedules.decay``
    mean_over         P over the "anchor" view, or over "both". The paper does not say; its
                      forerunner SCAN takes one view, its successor CARP both
    constant          "log2": log_2 K, as equation 5 is printed: a constant more, and not 0 where P
                      is uniform
    Returns the scalars "loss", "consistency" and "kl". Across ranks P is the mean over the joined
    batch: ``CARL`` and its row see to it. Raises ValueError for other shapes, a single sample or
    prototype, or a negative weight.

    >>> sure = 100 * torch.eye(3)
    >>> carl(sure, sure)["loss"].item()
    0.0
    """
    check_pair(anchor, positive, ("anchor", "positive"))
    check_statistics(len(anchor))
    check_word("mean_over", mean_over, MeanOver)
    if weight < 0:
        raise ValueError(f"the weight of the divergence must not be negative, but is {weight}")
    anchor, positive = float32_or_better(anchor), float32_or_better(positive)
    both = F.log_softmax(anchor, dim=1) + F.log_softmax(positive, dim=1)
    consistency = -both.logsumexp(dim=1).mean()
    views = anchor if mean_over == "anchor" else torch.cat([anchor, positive])
    kl = kl_to_uniform(views, constant=constant)
    return {"loss": consistency + weight * kl, "consistency": consistency, "kl": kl}


class CARLOptions(Options):
    prototypes: int = Field(
        100, ge=2, le=1_000_000, description="prototypes; the paper: about ten times the classes"
    )
    weight: Weight = Field(
        1.0, description="of the divergence from equal usage: lambda at the start, the paper's b"
    )
    final_weight: Weight | None = Field(
        None, description="lambda at the end of its decay, the paper's a; null: it does not decay"
    )
    decay: Decay = Field("linear", description="how lambda decays: linear, exponential, cosine")
    decay_epochs: Count | None = Field(
        None, description="epochs of lambda's decay, the paper's E; null: two thirds of the run's"
    )
    mean_over: MeanOver = Field(
        "anchor", description="which views' assignments are to use all prototypes alike"
    )
    constant: Constant = Field("natural", description="log2: the constant as equation 5 prints it")

    @model_validator(mode="after")
    def _can_decay(self) -> Self:
        ends = {"weight": self.weight, "final_weight": self.final_weight}
        zero = [key for key, value in ends.items() if value == 0]
        if self.decay == "exponential" and self.final_weight is not None and zero:
            raise OptionError(
                f"@{zero[0]} is 0, which an exponential decay neither leaves nor reaches",
                fix=f"@{zero[0]}=0.01, or @decay=linear",
            )
        return self


def weight_at(progress: Progress, o: CARLOptions) -> float:
    """lambda_e of an epoch (equation 8), from ``weight`` to ``final_weight``."""
    if o.final_weight is None:
        return o.weight
    # the paper decays over 100 of CIFAR's 150 epochs
    epochs = o.decay_epochs or max(1, round(progress.epochs * 2 / 3))
    return decay(progress.epoch, epochs, o.weight, o.final_weight, o.decay)


def _compute(x: Inputs, o: CARLOptions) -> dict[str, Tensor]:
    weight = weight_at(x.progress, o)
    options = o.model_dump(include={"mean_over", "constant"})
    terms = carl(*x.pair, weight, **options)
    return {**terms, "weight": terms["kl"].new_tensor(weight), **assignments(x.online[0])}


CARL_OBJECTIVE = Objective(
    name="carl",
    summary="views are assigned to the same prototype; all prototypes are used alike",
    formula="mean_i -log < p_i, p_i+ > + weight * (log K + sum_k P_k log P_k)",
    paper="CARL, Silva and Ramírez Rivera 2021",
    options=CARLOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: o.weight * constant_offset(c, o.constant),
    chance=lambda o, n, v, c, dim: math.log(dim) + o.weight * constant_offset(dim, o.constant),
    scores="pairs",
    assigner=lambda o, dim: LinearAssigner(dim, o.prototypes),
    across_ranks="batch",
    target="any",
    negatives=("none",),
    positives=("instance",),
)


class CARL(nn.Module):
    """The assigner and the loss of two views' projections, for a training loop of one's own.

        terms = carl_loss(z0, z1, weight=decay(epoch, 100, 4.0, 1.5))     # each (N, dim)
        terms["loss"].backward()

    dim, prototypes  of the linear assigner (equation 2); the paper: K is best near ten times the
                     classes
    mean_over, constant    see CARLOptions; the weight is given with every call
    The positive is a constant, as in figure 1; the other direction is another call. The mean over
    the ranks is the loss of one process on the joined batch.
    """

    def __init__(
        self,
        dim: int,
        prototypes: int,
        *,
        mean_over: MeanOver = "anchor",
        constant: Constant = "natural",
    ) -> None:
        super().__init__()
        check_whole("dim", dim)
        self.options = given(
            CARLOptions, prototypes=prototypes, mean_over=mean_over, constant=constant
        )
        self.assigner = LinearAssigner(dim, prototypes)

    def forward(self, anchor: Tensor, positive: Tensor, weight: float = 1.0) -> dict[str, Tensor]:
        logits, constant = [self.assigner(anchor)], [self.assigner(positive).detach()]
        options = self.options.model_copy(update={"weight": weight, "final_weight": None})
        return CARL_OBJECTIVE(logits, constant, options=options)
