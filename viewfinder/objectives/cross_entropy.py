"""Cross entropy with labels: the supervised baseline."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from viewfinder.core.expect import check_classes, check_same_device, check_whole_numbers
from viewfinder.objectives.contract import Inputs, Objective, Options


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """mean_i -log softmax(logits_i)[labels_i].

    logits float (N, C), labels int64 (N,) in 0..C-1. Returns a scalar; its infimum is 0. Raises
    ValueError for labels outside the range, -1 (unknown) among them, also on a GPU, where torch
    itself would end the process.
    """
    check_whole_numbers("labels", labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits must be (N, C) and labels (N,), not {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    check_same_device("labels", labels, "the logits are", logits)
    check_classes(labels, logits.shape[1])
    return F.cross_entropy(logits, labels.long())


def _compute(x: Inputs, o: Options) -> dict[str, Tensor]:
    assert x.cluster is not None  # the table says that it needs them
    # the labels were checked with the rest of the inputs, once for all views
    losses = [F.cross_entropy(logits, x.cluster.long()) for logits in x.online]
    return {"loss": sum(losses[1:], losses[0]) / len(losses)}


CROSS_ENTROPY_OBJECTIVE = Objective(
    name="cross-entropy",
    summary="predict the label",
    formula="mean_i -log softmax(logits_i)[label_i]",
    paper="the supervised baseline",
    options=Options,
    compute=_compute,
    outputs="classes",
    minimum=lambda o, n, v, c: 0.0,
    chance=lambda o, n, v, c, dim: math.log(c),
    scores="views",
    across_ranks="nothing",
    target="unused",
    negatives=("none",),
    positives=("clusters",),
    views=(1, None),
)
