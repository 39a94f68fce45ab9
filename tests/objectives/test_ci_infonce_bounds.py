"""Equation 1 of CI-InfoNCE and its Lemmas A.4 to A.7, exactly: worlds of a few symbols, and every
batch that can be drawn of them enumerated.

A world is p(z), p(x|z), p(y|z): x and y are drawn from one cluster, independently.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from viewfinder.objectives.ci_infonce import ci_infonce

TOLERANCE = 1e-9


class World(NamedTuple):
    z: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """E_z p(x|z) p(y|z), what positive pairs are drawn from: (X, Y)."""
        return np.einsum("z,zx,zy->xy", self.z, self.x, self.y)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL in nats."""
    known = p > 0
    return float((p[known] * np.log(p[known] / q[known])).sum())


def mutual(joint: np.ndarray) -> float:
    return divergence(joint, np.outer(joint.sum(1), joint.sum(0)))


def entropy(p: np.ndarray) -> float:
    return -float((p[p > 0] * np.log(p[p > 0])).sum())


def drawn(draw: st.DrawFn, rows: int, columns: int) -> np.ndarray:
    weights = draw(st.lists(st.integers(0, 4), min_size=rows * columns, max_size=rows * columns))
    table = np.array(weights, float).reshape(rows, columns)
    table[:, 0] += table.sum(1) == 0
    return table / table.sum(1, keepdims=True)


@st.composite
def worlds(draw: st.DrawFn, most: int = 4) -> World:
    clusters, xs, ys = (draw(st.integers(2, most)) for _ in range(3))
    return World(drawn(draw, 1, clusters)[0], drawn(draw, clusters, xs), drawn(draw, clusters, ys))


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_lemma_a5_and_a6_the_pairs_know_no_more_than_either_side_of_the_cluster(w: World) -> None:
    of_pairs = mutual(w.pairs)
    of_x, of_y = (mutual(w.z[:, None] * side) for side in (w.x, w.y))
    assert of_pairs <= min(of_x, of_y) + TOLERANCE
    assert min(of_x, of_y) <= entropy(w.z) + TOLERANCE


@settings(max_examples=50, deadline=None)
@given(worlds(), st.data())
def test_lemma_a7_the_most_is_reached_where_both_sides_tell_the_cluster(
    w: World, data: st.DataObject
) -> None:
    """Every symbol occurs in one cluster alone: H(Z|X) = H(Z|Y) = 0."""
    sides = []
    for side in (w.x, w.y):
        own = np.zeros((len(w.z), side.size))
        for z, row in enumerate(side):
            own[z, z * len(row) : (z + 1) * len(row)] = row
        sides.append(own)
    apart = World(w.z, *sides)
    assert mutual(apart.pairs) == pytest.approx(entropy(w.z), abs=TOLERANCE)


def expected_loss(w: World, x: torch.Tensor, y: torch.Tensor, temperature: float, n: int) -> float:
    """Equation 1's loss, the library's, over all batches of n pairs."""
    pairs = [(i, j, p) for (i, j), p in np.ndenumerate(w.pairs) if p > 0]
    total = 0.0
    for batch in product(pairs, repeat=n):
        weight = float(np.prod([p for _, _, p in batch]))
        loss = ci_infonce(x[[i for i, _, _ in batch]], y[[j for _, j, _ in batch]], temperature)
        total += weight * loss.item()
    return total


@settings(max_examples=15, deadline=None)
@given(worlds(most=3), st.sampled_from([0.1, 0.5, 2.0]), st.integers(0, 5))
def test_lemma_a4_equation_1_is_below_the_divergence_for_every_encoder(
    w: World, temperature: float, seed: int
) -> None:
    g = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(s.shape[1], 3, generator=g, dtype=torch.float64) for s in (w.x, w.y))
    for n in (2, 3):
        bound = -expected_loss(w, x, y, temperature, n)
        assert bound <= min(mutual(w.pairs), np.log(n)) + TOLERANCE


def test_a_good_encoder_comes_near_the_divergence() -> None:
    """Two clusters that x and y tell, batches of two: of log 2 the loss keeps what a batch without
    the other cluster cannot show, which is half."""
    w = World(np.array([0.5, 0.5]), np.eye(2), np.eye(2))
    corners = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert mutual(w.pairs) == pytest.approx(np.log(2))
    assert -expected_loss(w, corners, corners, 0.01, 2) == pytest.approx(np.log(2) / 2)
