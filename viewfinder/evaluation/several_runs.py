"""Several runs on the same images: whose neighbours name more test images right, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.nearest_neighbours import knn_scores
from viewfinder.evaluation.run_images import RunImages

KNN = 20
TEMPERATURE = 0.07
COMPARED = 10
"""Neighbours of each image that are compared between two runs."""


@dataclass(frozen=True)
class Paired:
    """The second run against the first, by the same test images.

    difference  of the kNN's top-1, second less first, in -1..1; None without labels
    low, high   its 95 % interval over the test images: mean of d ± 1.96 of its standard error, d
                1 where only the second is right, -1 where only the first is. Another seed of the
                training would move both: it says nothing of that
    gained      rows that only the second names right, lost those that only the first does
    overlap     the mean share of the 10 nearest neighbours that are the same, 0..1
    """

    difference: float | None
    low: float
    high: float
    gained: np.ndarray
    lost: np.ndarray
    overlap: float


@dataclass(frozen=True)
class Several:
    """Runs side by side: the kNN's top-1 of each (None without labels), the number of test images,
    and each run but the first against it."""

    runs: Sequence[RunImages]
    top1: Sequence[float | None]
    images: int
    paired: Sequence[Paired]


def check_comparable(runs: Sequence[RunImages]) -> None:
    """Raise UserError where the runs are of other images, or hold out other parts of them."""
    first = runs[0]
    for other in runs[1:]:
        if other.facts["data_digest"] != first.facts["data_digest"]:
            raise UserError(
                f"{other.run.folder} is of other images ({other.source.spec}) than "
                f"{first.run.folder} ({first.source.spec}), or holds out another part of them",
                fix="runs on the same data, limit, labels and seed",
            )
        mine, theirs = first.embeddings, other.embeddings
        same = list(mine.split) == list(theirs.split)
        if not same or not np.array_equal(mine.index, theirs.index):
            raise UserError(
                f"{other.run.folder} holds out other images of {other.source.spec} than "
                f"{first.run.folder}",
                fix="runs with the same seed and data.*: seeds draw the held-out part where the "
                "source has none",
            )


def several(runs: Sequence[RunImages]) -> Several:
    """Compare runs on the same images and parts; UserError for others, see ``check_comparable``.

    Each image of "test" is named by a weighted vote of the 20 nearest images of "train" (k 20, T
    0.07, Wu et al. 2018, section 3.4), or of as many as there are.
    """
    check_comparable(runs)
    known = runs[0].embeddings
    split = np.array(known.split)
    labelled = np.ones(len(known), bool) if known.labels is None else known.labels >= 0
    train, test = (np.flatnonzero((split == name) & labelled) for name in ("train", "test"))
    scored = known.labels is not None and len(train) and len(test)
    right = [_right(one, train, test) for one in runs] if scored else []
    paired = []
    for j, other in enumerate(runs[1:], start=1):
        k = min(COMPARED, runs[0].graph.k)
        near = zip(runs[0].graph.near[:, :k], other.graph.near[:, :k], strict=True)
        overlap = float(np.mean([len(np.intersect1d(a, b)) for a, b in near]) / k)
        none = np.empty(0, np.int64)
        if not right:
            paired.append(Paired(None, math.nan, math.nan, none, none, overlap))
            continue
        d = right[j].astype(float) - right[0]
        mean, error = float(d.mean()), float(d.std() / math.sqrt(len(d)))
        gained, lost = test[d > 0], test[d < 0]
        paired.append(Paired(mean, mean - 1.96 * error, mean + 1.96 * error, gained, lost, overlap))
    top1 = [float(r.mean()) for r in right] if right else [None] * len(runs)
    return Several(runs, top1, len(test) if right else 0, paired)


def _right(images: RunImages, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """bool (n,), whether the vote names each test image right."""
    labels = images.embeddings.labels
    assert labels is not None
    vectors = torch.tensor(images.embeddings.vectors)
    bank = torch.from_numpy(labels[train])
    k, classes = min(KNN, len(train)), int(labels.max()) + 1
    scores = knn_scores(vectors[test], vectors[train], bank, k, TEMPERATURE, classes)
    found: np.ndarray = scores.argmax(1).numpy() == labels[test]
    return found
