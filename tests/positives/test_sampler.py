from __future__ import annotations

import numpy as np
from scipy.stats import chisquare

from viewfinder.positives.sampler import draw_pairs, members, pairs_of_step

Z = np.array([2, 0, 1, 0, 0, 2, 3])


def test_pairs_follow_equation_1_exactly() -> None:
    """P(x, y) = sum_z P(z) 1/|z| 1/|z| over the members of z, with P(z) = |z| / N."""
    x, y = draw_pairs(members(Z), 200_000, np.random.default_rng(0))
    seen = np.zeros((7, 7))
    np.add.at(seen, (x, y), 1)
    want = (Z[:, None] == Z[None, :]) / (np.bincount(Z)[Z][:, None] * len(Z))
    assert (seen[want == 0] == 0).all()
    inside = want > 0
    assert chisquare(seen[inside], want[inside] * len(x)).pvalue > 1e-3


def test_a_singleton_is_paired_with_itself() -> None:
    x, y = draw_pairs(members(np.arange(5)), 50, np.random.default_rng(0))
    np.testing.assert_array_equal(x, y)
    assert x.dtype == y.dtype == np.int64


def test_members() -> None:
    groups = members(Z)
    for cluster in range(4):
        start = groups.start[cluster]
        found = groups.order[start : start + groups.size[cluster]]
        np.testing.assert_array_equal(found, np.flatnonzero(cluster == Z))


def test_steps_are_derived_from_their_place_alone() -> None:
    groups = members(Z)
    first = pairs_of_step(groups, 8, seed=0, epoch=1, step=2)
    np.testing.assert_array_equal(first, pairs_of_step(groups, 8, seed=0, epoch=1, step=2))
    for other in ({"rank": 1}, {"step": 3}, {"epoch": 2}, {"seed": 1}):
        place = {"seed": 0, "epoch": 1, "step": 2} | other
        assert (np.array(pairs_of_step(groups, 8, **place)) != np.array(first)).any()
