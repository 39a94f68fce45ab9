"""SupCon: contrast with every member of the class, or cluster, as a positive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_same_device, check_several, check_tensor, check_word
from viewfinder.core.ranges import Divisor
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import (
    anchor_positions,
    check_contrast,
    group_sums,
    known_or_alone,
    simplex,
)
from viewfinder.objectives.log_partition import (
    Temperature,
    exact_product,
    log_partition,
    log_partition_within,
)
from viewfinder.objectives.multilabel import tag_overlap
from viewfinder.objectives.similarity import check_pair, rowwise, unit

Anchors = Literal["all", "first"]
Missing = Literal["error", "skip", "zero"]


def supcon(
    views: Sequence[Tensor],
    labels: Tensor | None = None,
    temperature: Temperature = 0.1,
    *,
    mask: Tensor | None = None,
    weights: Tensor | None = None,
    base_temperature: float | None = None,
    anchors: Anchors = "all",
    missing: Missing = "error",
    rows: slice | None = None,
) -> Tensor:
    """Supervised contrastive loss, the mean of logs (Khosla et al. 2020, equation 2, L_out).

        loss = mean_a -1/|P(a)| sum_{p in P(a)} log( exp(s_ap) / sum_{b != a} exp(s_ab) )

    over all V*N rows a, s = cosine / temperature. P(a) are all other rows with the label of a, the
    other views of the same sample among them. With the clusters Z as labels this is the loss of
    CI-InfoNCE as its authors code it; without labels and with two views it is NT-Xent.

    views             a list of V tensors float (N, D), N >= 2; any scale: normalised inside
    labels            int64 (N,); negative: not known, only the sample's own views are positive
    mask              (N, N) instead of labels: mask[i, j] != 0 where sample j is a positive of i
    weights           (N, N) instead of labels: weights[i, j] >= 0, how much sample j is a positive
                      of i, as ``tag_overlap`` gives it. The mean over P(a) is weighted; 0 and 1
                      are a mask. On the diagonal: the sample's own other views
    temperature       > 0, a number or a tensor () that is learned
    base_temperature  multiplies the loss by temperature / base_temperature, as the authors' code
                      does (with 0.07); None: no factor, as the paper
    anchors           "first": only the first view is an anchor, all views are keys
    missing           an anchor without any positive (one view, and alone in its class): "error"
                      raises, "skip" leaves it out of the mean, "zero" counts it as 0 in the mean
    rows              only these samples are anchors, all samples are keys
    Returns a scalar. Raises ValueError where no anchor at all has a positive, whatever ``missing``.

    >>> z = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 1]]
    >>> round(supcon([z], torch.tensor([0, 0, 1, 1]), 0.1).item(), 6)  # log(1 + 2 exp(-10))
    9.1e-05
    """
    check_several("views", views)
    check_word("anchors", anchors, Anchors)
    check_word("missing", missing, Missing)
    for view in views:
        check_pair(views[0], view, ("the first view", "another view"))
    check_contrast(len(views[0]), temperature)
    samples, device = len(views[0]), views[0].device
    z = unit(torch.cat(list(views)))
    own = None
    if rows is not None or anchors == "first":
        own = anchor_positions(samples, len(views) if anchors == "all" else 1, rows, device)
    anchor = z if own is None else z[own]
    sample = (torch.arange(len(z), device=device) if own is None else own) % samples

    relation = _relation(samples, labels, mask, weights)
    sums, members, itself = _members(z.view(len(views), samples, -1).sum(dim=0), labels, relation)
    positives = len(views) * members - itself
    if len(views) == 1 or relation is not None:
        _check_missing(positives, missing)
    sums, count = sums[sample] - itself[sample, None] * anchor, positives[sample]
    if own is None:
        partition = log_partition_within(z, temperature)
    else:
        partition = log_partition(anchor, z, temperature, own=own)
    loss = partition - rowwise(anchor, sums) / (temperature * count.masked_fill(count == 0, 1))
    mean = loss.masked_fill(count == 0, 0).mean()
    if missing == "skip":  # over the whole batch, so that the parts of several ranks add up
        mean = mean / (positives > 0).to(mean.dtype).mean()
    return mean if base_temperature is None else mean * (temperature / base_temperature)


def _relation(
    samples: int, labels: Tensor | None, mask: Tensor | None, weights: Tensor | None
) -> Tensor | None:
    """How much each sample is a positive of each, (N, N), where a mask or weights say so."""
    relation = weights if mask is None else mask != 0
    if relation is None:
        return None
    given = [x for x in (labels, mask, weights) if x is not None]
    if len(given) > 1 or relation.shape != (samples, samples):
        raise ValueError(f"give either labels or a mask or weights ({samples}, {samples})")
    if weights is not None and not bool((weights >= 0).all()):
        raise ValueError("weights of positives must not be negative, nor NaN")
    return relation


def _members(
    summed: Tensor, labels: Tensor | None, relation: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """For each sample: the sum of ``summed`` (N, D) over the samples that are its positives,
    their number, or weight (N,), and that of the sample itself among them (N,)."""
    samples = len(summed)
    if relation is not None:
        relation = relation.to(summed.dtype)
        return exact_product(relation, summed), relation.sum(dim=1), relation.diagonal()
    ones = summed.new_ones(samples)
    if labels is None:
        return summed, ones, ones
    check_tensor("labels", labels)
    if labels.shape != (samples,):
        raise ValueError(f"labels must be ({samples},), not {tuple(labels.shape)}")
    check_same_device("labels", labels, "the views are", summed)
    sums, members = group_sums(summed, known_or_alone(labels))
    return sums, members, ones


def _check_missing(positives: Tensor, missing: Missing) -> None:
    alone = int((positives == 0).sum())
    if alone == len(positives):
        raise ValueError(
            "no anchor has a positive: every label stands alone and there is only one view. "
            "Give two views, or batches with at least two members of a class"
        )
    if alone and missing == "error":
        raise ValueError(
            f"{alone} of {len(positives)} samples have no positive. Give two views, or batches "
            'with at least two members of each class, or choose missing="skip" (leave them out of '
            'the mean) or missing="zero" (count them as 0)'
        )


class SupConOptions(Options):
    temperature: Divisor = Field(0.1, description="divides the cosine similarities")
    base_temperature: Divisor | None = Field(
        None, description="multiplies the loss by temperature / base_temperature"
    )
    anchors: Anchors = Field("all", description="which views are anchors")
    missing: Missing = Field(
        "error",
        description="anchors without a positive: error, skip (not in the mean) or zero (in it)",
    )


def _compute(x: Inputs, o: SupConOptions) -> dict[str, Tensor]:
    weights = None if x.tags is None else tag_overlap(x.tags)
    cluster = x.cluster if weights is None else None
    return {"loss": supcon(x.online, cluster, weights=weights, rows=x.rows, **dict(o))}


def _scale(o: SupConOptions) -> float:
    return o.temperature / o.base_temperature if o.base_temperature else 1.0


def _minimum(o: SupConOptions, n: int, v: int, c: float) -> float:
    return _scale(o) * simplex(o.temperature, v * n / c - 1, v * (n - n / c), c)


SUPCON_OBJECTIVE = Objective(
    name="supcon",
    summary="every view of every image of the class, or cluster, is a positive",
    formula="mean_a -1/|P(a)| sum_{p in P(a)} log( exp(s_ap) / sum_{b != a} exp(s_ab) )",
    paper="SupCon, Khosla et al. 2020; CI-InfoNCE, Tsai et al. 2021",
    options=SupConOptions,
    compute=_compute,
    minimum=_minimum,
    chance=lambda o, n, v, c, dim: _scale(o) * math.log(v * n - 1),
    scores="views",
    across_ranks="keys",
    target="unused",
    negatives=("batch",),
    positives=("instance", "clusters", "tags"),
    views=(1, None),
    refuses_alone=lambda o: o.missing == "error",
)
