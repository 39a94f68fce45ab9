"""Cosine objectives without negatives: SimSiam's negative cosine, BYOL's regression."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_word
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.similarity import check_pair, rowwise, unit

Form = Literal["regression", "negative_cosine"]


def negative_cosine(x0: Tensor, x1: Tensor) -> Tensor:
    """-mean_i cos(x0_i, x1_i), in [-1, 1] (Chen and He 2021, equation 1).

    x0, x1 float (N, D), any scale; gradients flow into both: give the target detached, or every
    encoder that maps all images to one point is a minimum. Returns a scalar.

    >>> import torch
    >>> negative_cosine(torch.eye(2), torch.eye(2)).item()
    -1.0
    """
    check_pair(x0, x1, ("x0", "x1"))
    return -rowwise(unit(x0), unit(x1)).mean()


def byol_regression(prediction: Tensor, target: Tensor) -> Tensor:
    """mean_i || p_i/|p_i| - t_i/|t_i| ||^2 = 2 - 2 cos, in [0, 4] (Grill et al. 2020, equation 2).

    One direction; BYOL's loss is the sum of both. The target is a constant: give it detached.

    >>> import torch
    >>> byol_regression(torch.eye(2), torch.eye(2)).item()
    0.0
    """
    return 2 + 2 * negative_cosine(prediction, target)


def cosine(prediction: Tensor, target: Tensor, form: Form = "regression") -> Tensor:
    """BYOL's ``byol_regression`` of a prediction and its target, or SimSiam's ``negative_cosine``.

    prediction, target  float (N, D), any scale; give the target detached
    form                "regression": 2 - 2 cos, in [0, 4]; "negative_cosine": -cos, in [-1, 1]
    Returns a scalar. Raises ValueError for other shapes and forms.

    >>> import torch
    >>> cosine(torch.eye(2), -torch.eye(2)).item()
    4.0
    """
    check_word("form", form, Form)
    loss = byol_regression if form == "regression" else negative_cosine
    return loss(prediction, target)


class CosineOptions(Options):
    form: Form = Field(
        "regression",
        description="regression: BYOL's 2 - 2 cos, summed over the directions; "
        "negative_cosine: SimSiam's -cos, their mean",
    )


def _compute(x: Inputs, o: CosineOptions) -> dict[str, Tensor]:
    return {"loss": cosine(*x.pair, o.form)}


COSINE_OBJECTIVE = Objective(
    name="cosine",
    summary="predict the other view's target; no negatives",
    formula="sum over both directions of mean_i 2 - 2 cos(prediction_i, target_i)",
    paper="BYOL, Grill et al. 2020; SimSiam, Chen and He 2021",
    options=CosineOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: 0.0 if o.form == "regression" else -1.0,
    scores="pairs",
    pairing="symmetric",
    summed=lambda o: o.form == "regression",
    across_ranks="nothing",
    target="constant",
    negatives=("none",),
    positives=("instance",),
)
