"""Verdicts within the spread: closed forms, and properties of the judging."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from viewfinder.papers.compare import (
    all_of,
    beyond,
    each_beyond,
    ordered,
    peak_inside,
    rank_correlation,
    trend,
)
from viewfinder.papers.result import Spread

values = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=4).map(lambda v: Spread(tuple(v)))


def three(mean: float, deviation: float = 0.01) -> Spread:
    return Spread((mean - deviation, mean, mean + deviation))


@given(values, values)
def test_beyond_is_antisymmetric(a: Spread, b: Spread) -> None:
    opposite = {True: False, False: True, None: None}
    assert beyond(a, b) is opposite[beyond(b, a)]


@given(values)
def test_nothing_is_beyond_itself(a: Spread) -> None:
    assert beyond(a, a) is None


def test_beyond_is_the_difference_against_both_deviations() -> None:
    # deviations of 0.03 and 0.04 make a spread of 0.05
    assert beyond(three(0.56, 0.03), three(0.5, 0.04)) is True
    assert beyond(three(0.54, 0.03), three(0.5, 0.04)) is None
    assert beyond(three(0.5, 0.04), three(0.56, 0.03)) is False
    assert beyond(Spread((0.9,)), three(0.1)) is None  # one seed says nothing of a spread


def test_all_of() -> None:
    assert all_of([True, True]) is True
    assert all_of([True, None]) is None
    assert all_of([None, False]) is False
    assert all_of([]) is None


def test_ordered_and_each_beyond() -> None:
    known = {"a": three(0.6), "b": three(0.5), "c": three(0.505), "gone": None}
    assert ordered("", known, ["a", "b"]).holds is True
    assert ordered("", known, ["b", "a"]).holds is False
    assert ordered("", known, ["a", "c", "b"]).holds is None
    assert ordered("", known, ["a", "gone"]).holds is None
    assert "gone" in ordered("", known, ["a", "gone"]).found
    assert each_beyond("", known, [("a", "b"), ("a", "c")]).holds is True
    assert each_beyond("", known, [("a", "b"), ("c", "a")]).holds is False
    assert each_beyond("", known, [("a", "gone")]).holds is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(rank_correlation(x, y))
    else:
        assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_a_trend_needs_the_order_and_the_ends() -> None:
    up = [(float(x), three(0.5 + 0.05 * x)) for x in range(4)]
    assert trend("", up, rising=True, what="x").holds is True
    assert trend("", up, rising=False, what="x").holds is False
    flat = [(float(x), three(0.5 + 0.001 * x)) for x in range(4)]
    assert trend("", flat, rising=True, what="x").holds is None
    assert trend("", [*up[:2], (9.0, None)], rising=True, what="x").holds is None


def test_a_peak_lies_beyond_both_ends() -> None:
    def points(*means: float) -> list[tuple[float, Spread | None]]:
        return [(float(i), three(m)) for i, m in enumerate(means)]

    assert peak_inside("", points(0.3, 0.5, 0.4), "k").holds is True
    assert peak_inside("", points(0.3, 0.5, 0.499), "k").holds is None
    assert peak_inside("", points(0.3, 0.4, 0.5), "k").holds is False
