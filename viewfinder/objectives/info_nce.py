"""InfoNCE: negatives from the batch, from a table (MoCo, memory bank), or a matrix of scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.ranges import Divisor
from viewfinder.negatives.contract import Contrast, check_proposed, check_taught
from viewfinder.objectives.contract import Inputs, Objective, Options
from viewfinder.objectives.contrast import (
    anchor_positions,
    check_contrast,
    check_temperature,
    group_sums,
    known_or_alone,
    simplex,
)
from viewfinder.objectives.gathered import Reduced, gathered
from viewfinder.objectives.log_partition import (
    Temperature,
    full_precision,
    log_partition,
    row_blocks,
)
from viewfinder.objectives.relations import Relations, Stale
from viewfinder.objectives.similarity import Similarity, check_pair, compared, rowwise


def info_nce(
    query: Tensor,
    key: Tensor,
    temperature: Temperature = 0.2,
    *,
    cluster: Tensor | None = None,
    similarity: Similarity = "cosine",
    rows: slice | None = None,
) -> Tensor:
    """InfoNCE in one direction, negatives from the batch (van den Oord et al. 2018, equation 4).

        loss = mean_i -log( exp(s_ii) / sum_j exp(s_ij) ),   s_ij = cos(q_i, k_j) / temperature
        or with similarity="dot",                            s_ij = q_i . k_j / temperature

    The sum has N terms, the positive among them; queries are not compared with queries.
    log(N) - loss is a lower bound on the mutual information of the views, and at most log(N).
    With ``cluster`` all keys of the cluster are positives (mean of logs, as in SupCon).

    query, key   float (N, D), N >= 2, row i of both is sample i; any scale: normalised inside
                 for the cosine
    temperature  > 0, a number or a tensor () that is learned
    cluster      int64 (N,); negative: not known, only the sample's own key is positive
    similarity   "cosine", or "dot" as in VINCE (Wu et al. 2020, section 2): lengths count
    rows         only these samples are queries, all samples are keys; the mean is over them
    Returns a scalar. The other direction is ``info_nce(key, query)``. Raises ValueError for other
    shapes, and for a single sample, which has nothing to be told from.

    >>> q = torch.eye(4, dtype=torch.float64)
    >>> round(info_nce(q, q, 0.1).item(), 6)  # log(1 + 3 exp(-10))
    0.000136
    """
    check_pair(query, key, ("query", "key"))
    check_contrast(len(query), temperature)
    positive = anchor_positions(len(key), 1, rows, key.device)
    query = query if rows is None else query[rows]
    query, key = compared(query, similarity), compared(key, similarity)
    if cluster is None:
        return log_partition(query, key, temperature, positive=positive).mean()
    if cluster.shape != (len(key),):
        raise ValueError(f"cluster must be ({len(key)},), not {tuple(cluster.shape)}")
    sums, members = group_sums(key, known_or_alone(cluster))
    mean = (sums / members[:, None])[positive]
    return (log_partition(query, key, temperature) - rowwise(query, mean) / temperature).mean()


def info_nce_with_negatives(
    query: Tensor,
    key: Tensor | None,
    negatives: Contrast,
    temperature: Temperature = 0.2,
    *,
    cluster: Tensor | None = None,
    stale: Stale = "excluded",
    similarity: Similarity = "cosine",
) -> Tensor:
    """InfoNCE with one positive key and given negatives; with a queue, the loss of MoCo.

        loss = mean_i -log( exp(s_i+) / ( exp(s_i+) + sum_m exp(s_im) ) )

    (He et al. 2020, equation 1; with a memory bank, the softmax form of instance discrimination.)
    With ``cluster``, negatives of the query's cluster are positives too, beside its own key: their
    log-ratios are averaged, and they stay in the denominator, as in SupCon.

    query, key   float (N, D), row i of both is sample i; any scale: normalised inside, as the table
                 is. MoCo's keys and queue are constants: give them detached. None: the positive
                 that the contrast gives
    negatives    see ``Contrast``; its ``own`` says which images the queries are
    temperature  > 0, a number or a tensor () that is learned
    cluster      int64 (N,): -1 where not known
    stale        rows of the same image as the query: "excluded" from the denominator, so that no
                 positive is its own negative; "positive"; or "negative", as MoCo's code has it
    similarity   see ``info_nce``; with "dot" the rows of the table are taken as they are, too
    Returns a scalar, with gradients for query, key, table and temperature. An empty queue gives 0
    with gradient 0: there is nothing to contrast with yet. Raises ValueError for other shapes, for
    clusters that cannot be known.
    """
    query, own, pairs = positive_scores(
        query, key, negatives, temperature, cluster, stale, similarity
    )
    per_query = negatives.rows is not None and negatives.rows.ndim == 2
    contrast = _of_own_rows if per_query else _of_shared_rows
    partition, attracted, members = contrast(query, own, pairs, temperature, similarity)
    positive = (own + attracted) / (1 + members)
    return (F.softplus(partition - own, threshold=50) + (own - positive)).mean()


def positive_scores(
    query: Tensor,
    key: Tensor | None,
    negatives: Contrast,
    temperature: Temperature,
    cluster: Tensor | None = None,
    stale: Stale = "excluded",
    similarity: Similarity = "cosine",
    teaches: bool = False,
) -> tuple[Tensor, Tensor, Relations]:
    """Queries (N, D) as they are compared, the scores of their positives (N,), and their pairs with
    the table.

    Raises ValueError where anything does not fit.
    """
    key = check_positives(query, key, negatives, teaches)
    check_temperature(temperature)
    pairs = Relations(negatives, len(query), cluster, stale)
    query = compared(query, similarity)
    return query, rowwise(query, compared(key, similarity)) / temperature, pairs


def check_positives(
    query: Tensor, key: Tensor | None, negatives: Contrast, teaches: bool = False
) -> Tensor:
    """The positive of each query (N, D): its key, or what the negatives know of it. Raises
    ValueError where they do not fit together; ``teaches``: see ``check_taught``."""
    check_proposed(negatives)
    check_taught(negatives, teaches)
    key = negatives.positive if key is None else key
    if key is None:
        raise ValueError("there is no key: give one, or negatives that know the positive (a bank)")
    check_pair(query, key, ("query", "key"))
    negatives.check_queries(query)
    return key


def info_nce_from_scores(scores: Tensor) -> Tensor:
    """InfoNCE of a critic's scores (N, N), temperature included: row i's positive is column i.

    loss = mean_i -log( exp(scores_ii) / sum_j exp(scores_ij) ); log(N) - loss bounds the mutual
    information from below (van den Oord et al. 2018, equation 5).
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores must be (N, N) with N >= 2, not {tuple(scores.shape)}")
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def _of_shared_rows(
    query: Tensor, own: Tensor, pairs: Relations, temperature: Temperature, similarity: Similarity
) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the sum over the negatives, sum of the scores of further positives, and their number,
    each (N,)."""
    rows, vectors = pairs.contrast.rows, pairs.contrast.table
    if rows is not None:
        vectors = vectors[rows.clamp(min=0)]
    vectors = compared(vectors, similarity).to(query.dtype)
    group, theirs = pairs.groups()
    partition = log_partition(query, vectors, temperature, anchor_group=group, key_group=theirs)
    if not pairs.has_positives:
        return partition, torch.zeros_like(own), torch.zeros_like(own)
    sums, members = torch.zeros_like(query), query.new_zeros(len(query))
    with full_precision(query):
        for block in row_blocks(len(query), len(vectors), query.device):
            related = pairs.related(block).to(query.dtype)
            sums[block], members[block] = related @ vectors, related.sum(dim=1)
    return partition, rowwise(query, sums) / temperature, members


def _of_own_rows(
    query: Tensor, own: Tensor, pairs: Relations, temperature: Temperature, similarity: Similarity
) -> tuple[Tensor, Tensor, Tensor]:
    """As ``_of_shared_rows``, where each query has rows of its own."""
    members = torch.zeros_like(own)

    def reduce(block: slice, s: Tensor) -> Reduced:
        found = []
        if pairs.has_positives:
            related = pairs.related(block)
            members[block] = related.sum(dim=1).to(s.dtype)
            found = [(s.masked_fill(~related, 0).sum(dim=1), related.to(s.dtype))]
        out = pairs.left_out(block)
        if out is not None:
            s.masked_fill_(out, float("-inf"))
        partition = s.logsumexp(dim=1)
        floor = partition.clamp(min=torch.finfo(s.dtype).min)
        return [(partition, s.sub_(floor[:, None]).exp_()), *found]

    table, rows = pairs.contrast.table, pairs.contrast.rows
    results = 2 if pairs.has_positives else 1
    partition, *attracted = gathered(query / temperature, table, rows, reduce, results, similarity)
    return partition, attracted[0] if attracted else torch.zeros_like(own), members


class InfoNCEOptions(Options):
    temperature: Divisor = Field(0.2, description="divides the similarities")
    similarity: Similarity = Field(
        "cosine", description="of two vectors: cosine; or dot, their product as they are"
    )
    stale: Stale = Field(
        "excluded",
        description="keys of the query's own image in the table: excluded, positive or negative",
    )


def _compute(x: Inputs, o: InfoNCEOptions) -> dict[str, Tensor]:
    query, key = x.online[0], x.target[0] if x.target else None
    if x.negatives is None:
        if key is None:
            raise ValueError("info_nce without a key needs negatives that know the positive")
        loss = info_nce(
            query, key, o.temperature, cluster=x.cluster, similarity=o.similarity, rows=x.rows
        )
        return {"loss": loss}
    own = x.rows or slice(None)
    loss = info_nce_with_negatives(
        query[own],
        None if key is None else key[own],
        x.negatives,
        o.temperature,
        cluster=None if x.cluster is None else x.cluster[own],
        stale=o.stale,
        similarity=o.similarity,
    )
    return {"loss": loss}


def _minimum(o: InfoNCEOptions, n: int, v: int, c: int) -> float:
    """Of long vectors the dot products with other classes are as low as one likes."""
    positives = n // c
    if o.similarity == "dot":
        return math.log(positives)
    return simplex(o.temperature, positives, n - positives, c)


INFO_NCE_OBJECTIVE = Objective(
    name="info-nce",
    summary="tell the key of a query from the batch's other keys, or from a queue or bank",
    formula="mean_i -log( exp(s_ii) / sum_j exp(s_ij) )",
    paper="CPC, van den Oord et al. 2018; MoCo, He et al. 2020",
    options=InfoNCEOptions,
    compute=_compute,
    minimum=_minimum,
    chance=lambda o, n, v, c, dim: math.log(n),
    scores="pairs",
    across_ranks="keys",
    target="any",
    negatives=("batch", "table"),
    positives=("instance", "clusters"),
)
