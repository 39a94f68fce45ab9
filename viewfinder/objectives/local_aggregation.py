"""Local aggregation: an image's close neighbours are told, all together, from its background."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_word
from viewfinder.core.ranges import Divisor
from viewfinder.negatives.contract import Contrast
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.gathered import Reduced, each_or_all, gathered
from viewfinder.objectives.info_nce import positive_scores
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.relations import Relations

Form = Literal["sum", "mean"]
Partition = Literal["background", "others"]


def local_aggregation(
    query: Tensor,
    key: Tensor | None,
    negatives: Contrast,
    temperature: Temperature = 0.07,
    *,
    cluster: Tensor | None = None,
    form: Form = "sum",
    partition: Partition = "background",
    epsilon: float = 0.0,
    found: bool = False,
) -> Tensor:
    """Local aggregation (Zhuang et al. 2019, equation 5; VINCE, Wu et al. 2020, equation 8).

        loss = mean_i -log( P(C_i and B_i) / P(B_i) ),   P(I) = sum_{j in I} exp(s_ij)

    with s the cosine / temperature, the background B_i the query's rows of the table and its own
    row, and C_i its own row and those of its cluster, or of its cluster in any of several
    clusterings. With no other row in C_i this is the loss of ball discrimination, LA-SIMPLE.

    query, key   float (N, D), any scale: normalised inside, as the table is. key None: the positive
                 that the contrast gives, the query's own row of a bank
    negatives    B_i, see ``Contrast``; neighbours of the query's row in the memory (the papers), or
                 of the query (their code): ``by`` of the bank
    temperature  > 0, a number or a tensor () that is learned
    cluster      int64 (N,), or (N, G) of G clusterings; negative: not known, C_i is its own row.
                 None: so for all, LA-SIMPLE
    form         "sum", as printed; "mean" divides P(C_i and B_i) by the number of its rows, without
                 which VINCE's corollary 5.4.1 does not hold: the sum is then never above LA-SIMPLE,
                 as a loss, and as a bound on information never below it
    partition    "background" divides by P(B_i), and the loss is never below 0; "others" by
                 P(B_i \\ C_i), where the query's own row does not count either: definition 5.3 of
                 VINCE read literally, as i is in C_i
    epsilon      added within the log, as in released code, which has 1e-7
    found        the own row is in B_i and C_i only where it is among the rows of the table, as in
                 released code (a bank with ``own="kept"``)
    Returns a scalar, with gradients for query, key, table and temperature. A query with nothing
    to be told from has loss 0. Raises ValueError for other shapes, for clusters that cannot be
    known, and with ``found`` for a query with no close row, unless there is an epsilon.
    """
    check_word("form", form, Form)
    check_word("partition", partition, Partition)
    query, own, pairs = positive_scores(query, key, negatives, temperature, cluster)
    near, far, members = _sides(query / temperature, own, pairs)
    if found:
        if not epsilon and bool((members == 0).any()):
            raise ValueError("a query has no close row among its own: no positive at all")
    else:
        near, members = torch.logaddexp(own, near), members + 1
    if partition == "others":
        losses = torch.where(far == float("-inf"), 0, far - near)
    else:
        losses = F.softplus(far - near, threshold=50)
    if form == "mean":
        losses = losses + members.clamp(min=1).log()
    if epsilon:
        losses = -((-losses).exp() + epsilon).log()
    return losses.mean()


def _sides(query: Tensor, own: Tensor, pairs: Relations) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the sum over the rows that are close, and over the others, -inf where there are none;
    and how many are close: (N,) each."""
    members = torch.zeros_like(own)

    def reduce(block: slice, s: Tensor) -> Reduced:
        close = torch.zeros_like(s, dtype=torch.bool)
        if pairs.has_positives:
            close |= pairs.related(block)
        out = pairs.left_out(block)
        others = ~close if out is None else ~close & ~out
        members[block] = close.sum(dim=1).to(s.dtype)
        return [_logsumexp(s, side) for side in (close, others)]

    near, far = gathered(query, *each_or_all(pairs.contrast), reduce, 2)
    return near, far, members


def _logsumexp(s: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Of the similarities (n, K) on one side, bool (n, K): (n,), and its derivative (n, K)."""
    s = s.masked_fill(~side, float("-inf"))
    value = s.logsumexp(dim=1)
    floor = value.clamp(min=torch.finfo(s.dtype).min)
    return value, s.sub_(floor[:, None]).exp_()


class LocalAggregationOptions(Options):
    temperature: Divisor = Field(0.07, description="divides the cosine similarities")
    form: Form = Field(
        "sum", description="of the close rows: sum, as printed, or mean, which keeps the bound"
    )
    partition: Partition = Field(
        "background",
        description="what is divided by: the background, or the others in it, without the positive",
    )


def _compute(x: Inputs, o: LocalAggregationOptions) -> dict[str, Tensor]:
    assert x.negatives is not None  # the table says that it needs them
    loss = local_aggregation(
        x.online[0],
        x.target[0] if x.target else None,
        x.negatives,
        o.temperature,
        cluster=x.cluster,
        form=o.form,
        partition=o.partition,
    )
    return {"loss": loss}


def _minimum(o: LocalAggregationOptions, n: int, v: int, c: int) -> float:
    """The classes at the corners of a simplex."""
    members = n // c
    apart = 1 + 1 / (c - 1)  # 1 - cosine of two corners
    ratio = math.log((n - members) / members) - apart / o.temperature
    least = ratio if o.partition == "others" else math.log1p(math.exp(ratio))
    return least + (math.log(members) if o.form == "mean" else 0)


LOCAL_AGGREGATION_OBJECTIVE = Objective(
    name="la",
    summary="tell an image's close neighbours, all together, from its background in a memory",
    formula="mean_i -log( sum_{j in C_i and B_i} exp(s_ij) / sum_{j in B_i} exp(s_ij) )",
    paper="Zhuang et al. 2019, equation 5; VINCE, Wu et al. 2020, equation 8",
    options=LocalAggregationOptions,
    compute=_compute,
    minimum=_minimum,
    scores="pairs",
    across_ranks="nothing",
    target="any",
    negatives=("table",),
    positives=("instance", "clusterings", "clusters"),
)
