"""A permutation test of clusterings: honest where nothing is there, awake where something is."""

from __future__ import annotations

import numpy as np
import pytest

from viewfinder.information.discrete import information
from viewfinder.information.shuffled import LEVEL, chances


def test_the_first_information_is_the_plug_in_one_and_shuffles_lie_around_its_expectation() -> None:
    rng = np.random.default_rng(0)
    labels, z = rng.integers(0, 5, 300), rng.integers(0, 20, 300)
    found = information(z, labels)
    (chance,) = chances([z], labels)
    assert chance.low < found.i_expected < chance.high
    assert chance.p > LEVEL


def test_labels_that_say_nothing_are_found_in_few_of_many_tables() -> None:
    """Of 60 tables of 20 columns of chance, at most about a twentieth are said to tell something:
    Binomial(60, 0.05) exceeds 9 in one of 1,000 cases."""
    rng = np.random.default_rng(1)
    wrong = 0
    for seed in range(60):
        labels = rng.integers(0, 6, 120)
        columns = [rng.integers(0, k, 120) for k in (2, 2, 3, 5, 60) * 4]
        wrong += any(c.beyond for c in chances(columns, labels, seed))
    assert wrong <= 9


@pytest.mark.parametrize("values", [2, 7, 150])
def test_a_column_that_says_something_is_found_among_many_that_do_not(values: int) -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 600)
    noise = [rng.integers(0, values, 600) for _ in range(30)]
    follow = np.where(rng.random(600) < 0.5, labels % values, rng.integers(0, values, 600))
    found = chances([*noise, follow], labels)
    assert found[-1].beyond
    assert sum(c.beyond for c in found[:-1]) <= 1


def test_one_class_and_one_cluster_tell_nothing() -> None:
    labels = np.arange(50) % 3
    assert not chances([np.zeros(50, int)], labels)[0].beyond
    assert not chances([labels], np.zeros(50, int))[0].beyond
    assert not chances([np.arange(50)], labels)[0].beyond  # each its own: as much of any labels
    assert chances([], labels) == []
