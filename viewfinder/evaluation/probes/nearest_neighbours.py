"""k nearest neighbours among frozen features, by cosine similarity."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count
from viewfinder.core.table import Options
from viewfinder.core.vectors import unit
from viewfinder.evaluation.probes.contract import Details, ProbeRow

BLOCK_SIMILARITIES = 2**24
SMALLEST_TEMPERATURE = 0.002  # exp(1/T) is a float64 down to 0.0015


def knn_scores(
    features: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    k: int,
    temperature: float | None,
    num_classes: int,
) -> Tensor:
    """Scores (B, C), float64, of each class for each query: the weights of its k nearest rows.

        score[c] = Σ_{j in the k nearest, y_j = c} exp(s_j / T),   s_j = cosine similarity

    the weighted vote of Wu et al. (2018, section 3.4). With ``temperature`` None each neighbour has
    one vote. A class without a vote scores 0; classes that tie are in the order of their numbers.

    features float (B, D); bank float (N, D); bank_labels int64 (N,) in [0, num_classes). Neither
    needs unit rows. The B × N similarities are made by blocks.

    Raises UserError where k is not in 1..N or the temperature is below 0.002, ValueError for shapes
    or labels that do not fit.

    >>> knn_scores(queries, bank, labels, 20, 0.07, 10).argmax(1)  # doctest: +SKIP
    """
    _check(features, bank, bank_labels, k, temperature, num_classes)
    bank = unit(bank)
    scores = features.new_zeros(len(features), num_classes, dtype=torch.float64)
    size = max(1, BLOCK_SIMILARITIES // len(bank))
    blocks: Iterator[tuple[Tensor, Tensor]] = zip(
        features.split(size), scores.split(size), strict=True
    )
    for queries, votes in blocks:
        similarity, nearest = (unit(queries) @ bank.T).topk(k, dim=1, sorted=False)
        if temperature is None:
            weights = torch.ones_like(similarity, dtype=torch.float64)
        else:
            weights = (similarity.double() / temperature).exp()
        votes.scatter_add_(1, bank_labels[nearest], weights)
    return scores


def _check(
    features: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    k: int,
    temperature: float | None,
    num_classes: int,
) -> None:
    if features.ndim != 2 or bank.ndim != 2 or features.shape[1] != bank.shape[1]:
        raise ValueError(
            f"features (B, D) and bank (N, D) are expected, got {tuple(features.shape)} and "
            f"{tuple(bank.shape)}"
        )
    if bank_labels.shape != (len(bank),):
        raise ValueError(f"bank_labels {tuple(bank_labels.shape)} do not fit {len(bank)} bank rows")
    if not 1 <= k <= len(bank):
        raise UserError(
            f"k = {k} neighbours cannot be taken from {len(bank)} labelled images",
            fix=f"k between 1 and {len(bank)}",
        )
    if temperature is not None and not temperature >= SMALLEST_TEMPERATURE:
        raise UserError(
            f"the temperature of kNN is {temperature}; at least {SMALLEST_TEMPERATURE} is expected",
            fix="0.07",
        )
    if int(bank_labels.min()) < 0 or int(bank_labels.max()) >= num_classes:
        raise ValueError(f"bank_labels must lie in [0, {num_classes})")


class KnnOptions(Options):
    k: Count = Field(20, description="neighbours that vote")
    temperature: float | None = Field(
        0.07,
        ge=SMALLEST_TEMPERATURE,
        le=1_000,
        description="of the weights exp(similarity / temperature); null: one vote each",
    )


def _scores(
    options: KnnOptions, x: Tensor, y: Tensor, test_x: Tensor, classes: int, seed: int
) -> tuple[Tensor, Details]:
    k, temperature = options.k, options.temperature
    scores = knn_scores(test_x, x, y, k, temperature, classes)
    return scores.masked_fill(scores == 0, -torch.inf), {
        "protocol": "knn",
        "k": k,
        "temperature": temperature,
        "similarity": "cosine",
        "vote": "one each" if temperature is None else "exp(similarity / temperature)",
        "selection": "none: nothing is fitted or chosen, all of train is the bank",
        "seed": None,
        "notes": [],
    }


KNN = ProbeRow(
    name="knn",
    summary="a weighted vote of the nearest neighbours by cosine similarity",
    paper="Wu et al. 2018, section 3.4",
    options=KnnOptions,
    scores=_scores,
    phrase="A nearest-neighbour vote",
)
