"""Doubtful labels: those that an image's neighbours speak against (confident learning)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from viewfinder.runs.neighbour_graph import NeighbourGraph

MAJORITY = 0.5
"""What a label must have of its image's neighbours to be suggested for it."""


@dataclass(frozen=True)
class Doubts:
    """What neighbours say of N labels.

    confidence  float32 (N,), the probability of the given label; NaN where there is none
    suggested   int64 (N,), the label that they speak for; -1 where the given one is not doubted
    margin      float32 (N,), how much more probable the suggested label is; 0 without
    """

    confidence: np.ndarray
    suggested: np.ndarray
    margin: np.ndarray

    @property
    def doubtful(self) -> np.ndarray:
        """bool (N,)"""
        return self.suggested >= 0


def neighbour_probabilities(graph: NeighbourGraph, labels: np.ndarray) -> np.ndarray:
    """p float64 (N, C) of each class for each image: its share of the labels of the k neighbours,

        p[i, c] = |{j near i: y_j = c}| / |{j near i: y_j known}|,

    out of sample, as no image votes on itself. labels int64 (N,), -1 where unknown. Equal
    probabilities where no neighbour has a label. Votes are not weighted by similarity: where few
    neighbours decide, labels of chance look doubtful.
    """
    classes = int(labels.max(initial=-1)) + 1
    voted = labels[graph.near]
    votes = np.zeros((len(labels), classes))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], voted.shape)
    known = voted >= 0
    np.add.at(votes, (rows[known], voted[known]), 1.0)
    total = votes.sum(axis=1, keepdims=True)
    share = np.full_like(votes, 1 / max(classes, 1))
    return np.divide(votes, total, out=share, where=total > 0)


def doubts(probabilities: np.ndarray, labels: np.ndarray, majority: float = MAJORITY) -> Doubts:
    """Confident learning (Northcutt, Jiang and Chuang 2021, equations 1 and 2): the threshold of a
    class is the mean probability of it among the images that bear it,

        t_c = mean_{i: y_i = c} p[i, c],

    an image counts, with confidence, as the class of largest p among those that reach theirs, and
    its label is doubted where that is another one (off the diagonal of the confident joint) and has
    more than ``majority`` of all probability: in an embedding that knows little of the classes,
    nearly all labels would be doubted else. majority 0 is the paper's rule.

    probabilities float (N, C), out of sample; labels int64 (N,), -1 where unknown: not judged.
    """
    known = np.flatnonzero(labels >= 0)
    p, given = probabilities[known], labels[known]
    own = p[np.arange(len(known)), given]
    bearers = np.bincount(given, minlength=p.shape[1])
    sums = np.bincount(given, weights=own, minlength=p.shape[1])
    threshold = np.divide(sums, bearers, out=np.full(p.shape[1], np.inf), where=bearers > 0)
    reached = np.where(p >= threshold - 1e-6, p, -1.0)  # a mean of equals may be rounded up
    best = reached.argmax(axis=1)
    other = (reached.max(axis=1) > (majority or -1)) & (best != given)
    confidence = np.full(len(labels), np.nan, np.float32)
    suggested = np.full(len(labels), -1, np.int64)
    margin = np.zeros(len(labels), np.float32)
    confidence[known] = own
    suggested[known[other]] = best[other]
    margin[known] = np.where(other, p[np.arange(len(known)), best] - own, 0)
    return Doubts(confidence, suggested, margin)
