"""VINCE+: InfoNCE against draws of a proposal that is trained with it."""

from __future__ import annotations

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

Draws = Literal["harder", "easier"]


def vince_plus(
    query: Tensor,
    key: Tensor | None,
    negatives: Contrast,
    temperature: Temperature = 0.07,
    *,
    draws: Draws = "harder",
) -> dict[str, Tensor]:
    """InfoNCE with negatives from a proposal, which learns (VINCE+, Wu et al. 2020, appendix C).

        loss = mean_i [ -log( e^s_i+ / (e^s_i+ + sum_j e^s_ij) ) + cost_i ],   y_ij ~ q( . | y_i)

    q and the cost of its rate of acceptance are those of negatives=learned, where it is said why
    this is a repair; equation 4 is minus the first term, up to log K. The proposal is trained by
    the gradient of the expectation over its draws,

        sum_j -log(1 - p_ij) d log q(y_ij | y_i),   p_ij = e^s_ij / (e^s_i+ + sum_k e^s_ik),

    up the loss for "harder" negatives, as BALL has them by hand, or down for "easier" ones, which
    is the direction of equation 17. The weight of a draw is by how much the loss would fall without
    it: that loss does not depend on the draw, so the gradient is exact in expectation (the score
    function's, with a baseline for each draw). No value here is a lower bound of the information.

    query, key   float (N, D), any scale: normalised inside, as the table is. key None: the positive
                 that the contrast gives
    negatives    what negatives=learned proposes; of others, without a proposal, this is InfoNCE
    temperature  > 0, a number or a tensor () that is learned
    Returns the loss and its terms, "contrast" and "rate_cost", as scalars, with gradients for
    query, key, table, temperature and the proposal. Raises ValueError for other shapes.
    """
    check_word("draws", draws, Draws)
    query, own, pairs = positive_scores(query, key, negatives, temperature, teaches=True)
    weight = query.new_empty(0 if negatives.rows is None else negatives.rows.shape)

    def reduce(block: slice, s: Tensor) -> Reduced:
        out = pairs.left_out(block)
        if out is not None:
            s.masked_fill_(out, float("-inf"))
        partition = s.logsumexp(dim=1)
        floor = partition.clamp(min=torch.finfo(s.dtype).min)
        if negatives.proposal is not None:
            share = (s - torch.logaddexp(partition, own.detach()[block])[:, None]).exp()
            weight[block] = -torch.log1p(-share.clamp(max=1 - torch.finfo(s.dtype).eps))
        return [(partition, s.sub_(floor[:, None]).exp_())]

    (partition,) = gathered(query / temperature, *each_or_all(negatives), reduce, 1)
    contrast = F.softplus(partition - own, threshold=50).mean()
    if negatives.proposal is None:
        return {"loss": contrast}
    # a copy, as the backward pass through the table asks for the weights again
    toward = (weight.clone() * negatives.proposal.log_q).sum(dim=1).mean()
    toward = -toward if draws == "harder" else toward
    cost = negatives.proposal.cost.mean()
    loss = contrast + cost + toward - toward.detach()  # its gradient alone
    return {"loss": loss, "contrast": contrast.detach(), "rate_cost": cost.detach()}


class VincePlusOptions(Options):
    temperature: Divisor = Field(0.07, description="divides the cosine similarities")
    draws: Draws = Field(
        "harder", description="what the proposal learns: harder negatives, or easier ones"
    )


def _compute(x: Inputs, o: VincePlusOptions) -> dict[str, Tensor]:
    assert x.negatives is not None  # the table says that it needs them
    key = x.target[0] if x.target else None
    return vince_plus(x.online[0], key, x.negatives, o.temperature, draws=o.draws)


VINCE_PLUS_OBJECTIVE = Objective(
    name="vince-plus",
    summary="tell the key of a query from draws of a proposal that learns which are hard",
    formula="mean_i -log( exp(s_ii) / (exp(s_ii) + sum_j exp(s_ij)) ) + cost_i,   j ~ q(.|i)",
    paper="VINCE, Wu et al. 2020, appendix C, repaired",
    options=VincePlusOptions,
    compute=_compute,
    minimum=None,
    scores="pairs",
    across_ranks="nothing",
    target="any",
    negatives=("table",),
    positives=("instance",),
    teaches=True,
)
