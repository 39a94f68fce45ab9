"""Deep InfoMax: an image's vector is told from others by the places of its own map."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.expect import check_same_device, check_word
from viewfinder.core.ranges import Divisor
from viewfinder.networks.places import AUTO, VIEW, Read
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import check_contrast
from viewfinder.objectives.gathered import Reduced, gathered
from viewfinder.objectives.log_partition import Temperature
from viewfinder.objectives.similarity import Similarity, compared

Form = Literal["jsd", "dv", "info-nce"]
"""The bounds that train: Hjelm et al. 2019, equations 4, 2 and 5."""
Divergence = Literal["jsd", "dv", "info-nce", "gan", "kl", "rkl", "h2", "x2", "w1"]
"""The same, and further divergences of the released code. Their terms are exponentials or squares
of the scores, which overflow where a critic is sure."""

_Term = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
_LOG_2 = math.log(2)
_OF_ITSELF: _Term = (lambda u: u, torch.ones_like)
_TERMS: dict[str, tuple[_Term, _Term]] = {
    "jsd": (
        (lambda u: _LOG_2 - _softplus(-u), lambda u: (-u).sigmoid()),
        (lambda u: _softplus(u) - _LOG_2, torch.sigmoid),
    ),
    "gan": (
        (lambda u: -_softplus(-u), lambda u: (-u).sigmoid()),
        (lambda u: _softplus(u), torch.sigmoid),
    ),
    "kl": (_OF_ITSELF, (lambda u: (u - 1).exp(), lambda u: (u - 1).exp())),
    "rkl": ((lambda u: -(-u).exp(), lambda u: (-u).exp()), (lambda u: u - 1, torch.ones_like)),
    "h2": ((lambda u: 1 - (-u).exp(), lambda u: (-u).exp()), (lambda u: u.exp() - 1, torch.exp)),
    "x2": (
        (lambda u: u**2, lambda u: 2 * u),
        (lambda u: -0.5 * (u.abs() + 1) ** 2, lambda u: -(u.abs() + 1) * u.sign()),
    ),
    "w1": (_OF_ITSELF, _OF_ITSELF),
}
"""Of each f-divergence what is averaged over pairs of one image, and over pairs of two; and the
derivatives of both, written out: a compiled loss loses a derivative that is found by autograd
within another."""
_SOFTMAX = ("dv", "info-nce")
"""The forms that compare the scores of all other places together."""


def deep_info_max(
    query: Tensor,
    places: Tensor,
    form: Divergence = "jsd",
    *,
    temperature: Temperature = 1.0,
    similarity: Similarity = "dot",
    own: float | None = None,
) -> Tensor:
    """Deep InfoMax of global vectors and the places of maps (Hjelm et al. 2019).

    With s_ija = q_i . l_ja / temperature, of image i's vector and place a of image j:

        jsd       mean_{i!=j,a} softplus(s_ija) + mean_{i,a} softplus(-s_iia) - 2 log 2
        dv        log mean_{i!=j,a} exp(s_ija) - mean_{i,a} s_iia
        info-nce  mean_{i,a} -log( exp(s_iia) / (exp(s_iia) + sum_{j!=i,b} exp(s_ijb)) )

    its equations 4, 2 and 5. Where VINCE (Wu et al. 2020, section 5.2) writes the last, a place is
    contrasted with the same place of other images alone. -jsd bounds twice the Jensen-Shannon
    divergence from below; -dv, in the limit of many samples, the mutual information.

    query        float (N, D), N >= 2, the global vectors; or (N, M, D), several of each image, each
                 of which is compared by itself
    places       float (N, L, D), the vectors of L places of each image; of maps (N, D, H, W)
                 ``x.flatten(2).mT``
    form         as above; or "gan" (jsd without its constant), "kl", "rkl", "h2", "x2" or "w1", the
                 other divergences of the released code
    temperature  > 0, a number or a tensor () that is learned
    similarity   "dot", as in the paper, or "cosine"
    own          of info-nce: the score by which each of an image's own places stays among its
                 negatives. None: they are none. The released code has -10
    Returns a scalar, in float32 or better, with gradients for query, places and temperature. The
    scores are computed in blocks; there is no second derivative. Raises ValueError for other
    shapes, and for a single image, which has nothing to be told from.

    >>> x = torch.zeros(4, 8)
    >>> deep_info_max(x, x[:, None].expand(4, 9, 8)).item()  # what tells nothing
    0.0
    """
    check_word("form", form, Divergence)
    if query.ndim not in (2, 3) or places.ndim != 3 or not places.shape[1] or not places.shape[2]:
        raise ValueError(
            "deep_info_max takes vectors (N, D) or (N, M, D) and places (N, L, D), not "
            f"{tuple(query.shape)} and {tuple(places.shape)}"
        )
    if len(query) != len(places) or query.shape[-1] != places.shape[-1]:
        raise ValueError(
            f"vectors {tuple(query.shape)} and places {tuple(places.shape)} are not of the same "
            "images and width"
        )
    check_same_device("the places", places, "the vectors", query)
    check_contrast(len(query), temperature)
    samples, count = places.shape[:2]
    image = torch.arange(samples, device=query.device)
    of_query = image.repeat_interleave(query[0].numel() // query.shape[-1])
    of_place = image.repeat_interleave(count)

    def reduce(block: slice, s: Tensor) -> Reduced:
        return _scored(s, of_query[block, None] == of_place, count, form, own)

    flat = compared(query, similarity).flatten(0, -2) / temperature
    others, pairs = gathered(flat, places.flatten(0, 1), None, reduce, 2, similarity)
    if form == "dv":
        return others.logsumexp(dim=0) - math.log(len(others)) - pairs.mean()
    return (others - pairs).mean()


def _scored(s: Tensor, mine: Tensor, count: int, form: Divergence, own: float | None) -> Reduced:
    """Of each vector's scores with all places (n, K), of which its own ``count`` are ``mine``: what
    is to be small, and what is to be great, (n,) each, with the derivatives by the scores."""
    others = s.shape[1] - count
    if form not in _SOFTMAX:
        (of_own, own_slope), (of_others, others_slope) = _TERMS[form]
        return [
            (
                _kept(of_others(s), ~mine).sum(dim=1) / others,
                _kept(others_slope(s), ~mine) / others,
            ),
            (_kept(of_own(s), mine).sum(dim=1) / count, _kept(own_slope(s), mine) / count),
        ]
    apart = s.masked_fill(mine, float("-inf"))
    partition = apart.logsumexp(dim=1, keepdim=True)
    if form == "dv":
        value = partition.squeeze(1) - math.log(others)
        own_mean = _kept(s, mine).sum(dim=1) / count
        return [(value, (apart - partition).exp()), (own_mean, mine.to(s.dtype) / count)]
    if own is not None:
        partition = torch.logaddexp(partition, torch.full_like(partition, own + math.log(count)))
    above = partition - s
    value = _kept(_softplus(above), mine).sum(dim=1) / count
    pull = _kept(above.sigmoid(), mine) / count
    slope = (apart - partition).exp() * pull.sum(dim=1, keepdim=True) - pull
    return [(value, slope), (torch.zeros_like(value), torch.zeros_like(slope))]


def _kept(x: Tensor, where: Tensor) -> Tensor:
    return x.masked_fill(~where, 0)


def _softplus(u: Tensor) -> Tensor:
    """log(1 + exp(u)), exact beyond torch's own threshold of 20 too."""
    return F.softplus(u, threshold=50)


class DeepInfoMaxOptions(Options):
    form: Form = Field(
        "jsd", description="the bound: jsd, of the Jensen-Shannon divergence; dv; or info-nce"
    )
    similarity: Similarity = Field(
        "dot", description="of two vectors: dot, their product as they are; or cosine"
    )
    temperature: Divisor = Field(1.0, description="divides the similarities")


class DIMOptions(DeepInfoMaxOptions):
    stage: str = Field(
        VIEW,
        description="what an image's vector is compared with: view, the image; or the whole map of "
        "a stage of the encoder",
    )


class LDIMOptions(DeepInfoMaxOptions):
    stage: str = Field(
        AUTO,
        description="whose places an image's vector is compared with: a stage of the encoder; "
        "auto: its deepest of at least 4 x 4 places, except the last",
    )


def _compute(x: Inputs, o: DeepInfoMaxOptions) -> dict[str, Tensor]:
    query, places = x.pair
    loss = deep_info_max(query, places, o.form, temperature=o.temperature, similarity=o.similarity)
    return {"loss": loss}


def _minimum(o: DeepInfoMaxOptions, n: int, v: int, c: int, places: int | None) -> float | None:
    """Of the images at the corners of a simplex; of long vectors scores are as far apart as one
    likes."""
    if o.similarity == "dot":
        return {"jsd": -2 * _LOG_2, "dv": None, "info-nce": 0.0}[o.form]
    near, far = 1 / o.temperature, -1 / (n - 1) / o.temperature
    if o.form == "dv":
        return far - near
    if o.form == "jsd":
        return math.log1p(math.exp(far)) + math.log1p(math.exp(-near)) - 2 * _LOG_2
    return None if places is None else math.log1p((n - 1) * places * math.exp(far - near))


def _chance(
    o: DeepInfoMaxOptions, n: int, v: int, c: int, dim: int, places: int | None
) -> float | None:
    if o.form != "info-nce":
        return 0.0
    return None if places is None else math.log1p((n - 1) * places)


def _row(
    name: str, summary: str, formula: str, options: type[DeepInfoMaxOptions], whole: bool
) -> Objective:
    places = 1 if whole else None

    def keys(o: DIMOptions | LDIMOptions) -> Read:
        return Read(o.stage, whole=whole)

    return Objective(
        name=name,
        summary=summary,
        formula=formula,
        paper="Hjelm et al. 2019, Deep InfoMax; VINCE, Wu et al. 2020, section 5.2",
        options=options,
        compute=_compute,
        minimum=partial(_minimum, places=places),
        chance=partial(_chance, places=places),
        scores="pairs",
        across_ranks="batch",  # the logarithm of dv is of a mean over all samples
        target="any",
        negatives=("batch",),
        positives=("instance",),
        keys=keys,
    )


DIM_OBJECTIVE = _row(
    "dim",
    "tell which image a vector was made of, by the whole image or the whole map of a stage",
    "mean_{i!=j} softplus(s_ij) + mean_i softplus(-s_ii) - 2 log 2,   s_ij = q_i . l_j",
    DIMOptions,
    whole=True,
)
LDIM_OBJECTIVE = _row(
    "ldim",
    "tell which image a vector was made of, by each place of the map of a stage",
    "mean_{i!=j,a} softplus(s_ija) + mean_{i,a} softplus(-s_iia) - 2 log 2,   s_ija = q_i . l_ja",
    LDIMOptions,
    whole=False,
)
