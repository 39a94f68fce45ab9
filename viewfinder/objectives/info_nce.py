"""InfoNCE: negatives from the batch, given (a queue: MoCo), or a matrix of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from viewfinder.negatives.contract import Negatives
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import check_contrast, group_sums, known_or_alone, simplex
from viewfinder.objectives.log_partition import full_precision, log_partition, row_blocks
from viewfinder.objectives.similarity import check_pair, rowwise, unit

Stale = Literal["excluded", "positive", "negative"]


def info_nce(
    query: Tensor,
    key: Tensor,
    temperature: float = 0.2,
    *,
    cluster: Tensor | None = None,
    rows: slice | None = None,
) -> Tensor:
    """InfoNCE in one direction, negatives from the batch (van den Oord et al. 2018, equation 4).

        loss = mean_i -log( exp(s_ii) / sum_j exp(s_ij) ),   s_ij = cos(q_i, k_j) / temperature

    The sum has N terms, the positive among them; queries are not compared with queries.
    log(N) - loss is a lower bound on the mutual information of the views, and at most log(N).
    With ``cluster`` all keys of the cluster are positives (mean of logs, as in SupCon).

    query, key   float (N, D), N >= 2, row i of both is sample i; any scale: normalised inside
    temperature  > 0
    cluster      int64 (N,); negative: not known, only the sample's own key is positive
    rows         only these samples are queries, all samples are keys; the mean is over them
    Returns a scalar. The other direction is ``info_nce(key, query)``. Raises ValueError for other
    shapes, and for a single sample, which has nothing to be told from.

    >>> q = torch.eye(4, dtype=torch.float64)
    >>> round(info_nce(q, q, 0.1).item(), 6)  # log(1 + 3 exp(-10))
    0.000136
    """
    check_pair(query, key, ("query", "key"))
    check_contrast(len(query), temperature)
    chosen = rows if rows is not None else slice(None)
    query, key = unit(query[chosen]), unit(key)
    if cluster is None:
        positive = torch.arange(len(key), device=key.device)[chosen]
        return log_partition(query, key, temperature, positive=positive).mean()
    sums, members = group_sums(key, known_or_alone(cluster))
    mean = (sums / members[:, None])[chosen]
    return (log_partition(query, key, temperature) - rowwise(query, mean) / temperature).mean()


def info_nce_with_negatives(
    query: Tensor,
    key: Tensor,
    negatives: Negatives,
    temperature: float = 0.2,
    *,
    index: Tensor | None = None,
    cluster: Tensor | None = None,
    stale: Stale = "excluded",
) -> Tensor:
    """InfoNCE with one positive key and given negatives; with a queue, the loss of MoCo.

        loss = mean_i -log( exp(s_i+) / ( exp(s_i+) + sum_m exp(s_im) ) )

    (He et al. 2020, equation 1.) Negatives (K, D) are shared by all queries, (N, K, D) are a set
    for each. With ``cluster``, negatives of the query's cluster are positives too, beside its own
    key: their log-ratios are averaged, and they stay in the denominator, as in SupCon.

    query, key  float (N, D), row i of both is sample i; any scale: normalised inside, as the
                negatives are. MoCo's keys and queue are constants: give them detached
    index       int64 (N,): which images the queries are, to know their stale keys in the queue
    cluster     int64 (N,): -1 where not known
    stale       keys of the same image as the query: "excluded" from the denominator, so that no
                positive is its own negative; "positive"; or "negative", as MoCo's code has it
    Returns a scalar. An empty queue gives 0 with gradient 0: there is nothing to contrast with yet.
    Raises ValueError for other shapes, for clusters or stale keys that cannot be known.
    """
    check_pair(query, key, ("query", "key"))
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    _check_negatives(negatives, query, index, cluster)
    given = _Given(negatives, index if negatives.index is not None else None, cluster, stale)
    query, key = unit(query), unit(key)
    vectors = unit(negatives.vectors).to(query.dtype)
    own = rowwise(query, key) / temperature
    contrast = _paired if vectors.ndim == 3 else _shared
    above_own, sums, members = contrast(query, own, vectors, given, temperature)
    positive = (own + rowwise(query, sums) / temperature) / (1 + members)
    return (above_own + (own - positive)).mean()


def info_nce_from_scores(scores: Tensor) -> Tensor:
    """InfoNCE of a critic's scores (N, N), temperature included: row i's positive is column i.

    loss = mean_i -log( exp(scores_ii) / sum_j exp(scores_ij) ); log(N) - loss bounds the mutual
    information from below (van den Oord et al. 2018, equation 5).
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores must be (N, N) with N >= 2, not {tuple(scores.shape)}")
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


@dataclass(frozen=True)
class _Given:
    """What is known about the pairs of queries and given negatives."""

    negatives: Negatives
    index: Tensor | None
    cluster: Tensor | None
    stale: Stale

    @property
    def has_positives(self) -> bool:
        return self.cluster is not None or (self.index is not None and self.stale == "positive")

    def same_image(self, rows: slice) -> Tensor | None:
        """bool (rows, K): the negative is a key of the query's own image."""
        if self.index is None or self.negatives.index is None:
            return None
        return self.index[rows, None] == _of(self.negatives.index, rows)

    def positives(self, rows: slice) -> Tensor:
        """bool (rows, K): the negative counts as a positive of the query."""
        same = self.same_image(rows)
        found = torch.zeros((), dtype=torch.bool, device=self.negatives.vectors.device)
        if self.cluster is not None and self.negatives.cluster is not None:
            theirs = _of(self.negatives.cluster, rows)
            found = (self.cluster[rows, None] == theirs) & (theirs >= 0)
        if same is not None:
            found = found | same if self.stale == "positive" else found & ~same
        if self.negatives.index is not None:
            found = found & (_of(self.negatives.index, rows) >= 0)
        return found


def _of(x: Tensor, rows: slice) -> Tensor:
    return x[rows] if x.ndim == 2 else x


def _shared(
    query: Tensor, own: Tensor, vectors: Tensor, given: _Given, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the denominator relative to the own key (N,), sum of further positives (N, D), their
    number (N,)."""
    tags = given.index
    if given.negatives.index is not None and (tags is None or given.stale != "excluded"):
        tags = torch.full((len(query),), -1, device=query.device)  # only empty slots are left out
    partition = log_partition(
        query, vectors, temperature, anchor_tags=tags, key_tags=given.negatives.index
    )
    sums, members = torch.zeros_like(query), query.new_zeros(len(query))
    if given.has_positives:
        with full_precision(query):
            for rows in row_blocks(len(query), len(vectors), query.device):
                related = given.positives(rows).to(query.dtype)
                sums[rows], members[rows] = related @ vectors, related.sum(dim=1)
    return F.softplus(partition - own, threshold=50), sums, members


def _paired(
    query: Tensor, own: Tensor, vectors: Tensor, given: _Given, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As ``_shared``, where each query has negatives of its own: vectors (N, K, D)."""
    everyone = slice(None)
    with full_precision(query):
        s = torch.einsum("nd,nkd->nk", query, vectors) / temperature
        sums, members = torch.zeros_like(query), query.new_zeros(len(query))
        if given.has_positives:
            related = given.positives(everyone).to(query.dtype)
            sums, members = torch.einsum("nk,nkd->nd", related, vectors), related.sum(dim=1)
    if given.negatives.index is not None:
        s = s.masked_fill(given.negatives.index < 0, float("-inf"))
        same = given.same_image(everyone)
        if same is not None and given.stale == "excluded":
            s = s.masked_fill(same, float("-inf"))
    relative = torch.cat([torch.zeros_like(own)[:, None], s - own[:, None]], dim=1)
    return relative.logsumexp(dim=1), sums, members


def _check_negatives(
    negatives: Negatives, query: Tensor, index: Tensor | None, cluster: Tensor | None
) -> None:
    shape = negatives.vectors.shape
    if len(shape) not in (2, 3) or shape[-1] != query.shape[1]:
        raise ValueError(f"negatives must be (K, {query.shape[1]}) or (N, K, {query.shape[1]})")
    if len(shape) == 3 and shape[0] != len(query):
        raise ValueError(f"{len(query)} queries have {shape[0]} sets of negatives")
    for name, tags in (("index", negatives.index), ("cluster", negatives.cluster)):
        if tags is not None and tags.shape != shape[:-1]:
            raise ValueError(f"the negatives' {name} must be {tuple(shape[:-1])}")
    for name, tags in (("index", index), ("cluster", cluster)):
        if tags is not None and tags.shape != (len(query),):
            raise ValueError(f"{name} must be ({len(query)},), not {tuple(tags.shape)}")
    if cluster is not None and negatives.cluster is None:
        raise ValueError("positives by cluster need the clusters of the negatives")


class InfoNCEOptions(Options):
    temperature: PositiveFloat = Field(0.2, description="divides the cosine similarities")
    stale: Stale = Field(
        "excluded",
        description="keys of the query's own image in a queue: excluded, positive or negative",
    )


def _compute(x: Inputs, o: InfoNCEOptions) -> dict[str, Tensor]:
    query, key = x.pair
    if x.negatives is None:
        return {"loss": info_nce(query, key, o.temperature, cluster=x.cluster, rows=x.rows)}
    own = x.rows or slice(None)
    loss = info_nce_with_negatives(
        query[own],
        key[own],
        x.negatives,
        o.temperature,
        index=None if x.index is None else x.index[own],
        cluster=None if x.cluster is None else x.cluster[own],
        stale=o.stale,
    )
    return {"loss": loss}


INFO_NCE_OBJECTIVE = Objective(
    name="info_nce",
    summary="tell the key of a query from the batch's other keys, or from a queue",
    formula="mean_i -log( exp(s_ii) / sum_j exp(s_ij) )",
    paper="CPC, van den Oord et al. 2018; MoCo, He et al. 2020",
    options=InfoNCEOptions,
    compute=_compute,
    minimum=lambda o, n, v, c: simplex(o.temperature, n // c, n - n // c, c),
    scores="pairs",
    across_ranks="keys",
    target="any",
    negatives=("batch", "queue"),
    positives=("instance", "clusters"),
)
