from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from viewfinder.positives.sampler import SAMPLERS, Epoch, Sampler, draw_pairs, members

Z = np.array([2, 0, 1, 0, 0, 2, 3])
ROWS = np.arange(3, 40)  # not all of the images are trained on


def epoch(**changes: Any) -> Epoch:
    plain: dict[str, Any] = {"steps": 4, "share": 8, "seed": 0, "number": 1, "z": np.arange(50) % 6}
    return Epoch(ROWS, **{**plain, **changes})


def drawn(sampler: Sampler, **changes: Any) -> np.ndarray:
    return np.stack(list(sampler.batches(epoch(**changes))))


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_follows_from_its_place_alone(sampler: Sampler) -> None:
    first = drawn(sampler)
    assert first.shape == (4, 8)
    assert first.dtype == np.int64
    assert np.isin(first, ROWS).all()
    np.testing.assert_array_equal(first, drawn(sampler))
    for other in ({"number": 2}, {"seed": 1}):
        assert (drawn(sampler, **other) != first).any()
    ranks = [drawn(sampler, share=4, rank=rank, world=2) for rank in range(2)]
    assert (ranks[0] != ranks[1]).any()
    assert sampler.kinds is None or sampler.kinds
    if sampler.kinds is None:  # one that does not look at Z needs none
        np.testing.assert_array_equal(drawn(sampler, z=None), first)
    if sampler.pairs:
        z = epoch().z
        assert z is not None
        halves = first.reshape(4, 2, 4)
        np.testing.assert_array_equal(z[halves[:, 0]], z[halves[:, 1]])


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


def test_each_step_of_pairs_has_draws_of_its_own() -> None:
    steps = drawn(SAMPLERS["clusters"])
    assert len({tuple(step) for step in steps.tolist()}) == len(steps)
