"""Theorem 1 of Wang et al. 2022, exactly: worlds of a few symbols, every encoder enumerated.

A world is a table p(v1, v2, T). An encoder is a map from the values of v1 to symbols, so
z1 = f(v1); all partitions of those values are all encoders, up to the names of the symbols.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from viewfinder.information.discrete import entropy_of_counts, information

TOLERANCE = 1e-9
World = np.ndarray
"""Counts (V1, V2, T): whole numbers, so that a world is also a list of samples."""


def partitions(n: int) -> Iterator[np.ndarray]:
    """All partitions of n values, each as the symbol of every value, numbered as they appear."""
    for code in product(*(range(i + 1) for i in range(n))):
        if all(code[i] <= max(code[:i], default=-1) + 1 for i in range(n)):
            yield np.array(code)


def joint(world: World, *axes: int) -> float:
    """The entropy in nats of the variables on these axes."""
    others = tuple(i for i in range(world.ndim) if i not in axes)
    counts = world.sum(axis=others).ravel()
    return entropy_of_counts(counts[counts > 0]) if axes else 0.0


def mutual(world: World, a: int, b: int, *given: int) -> float:
    """I(a; b | given) in nats."""
    return (
        joint(world, a, *given)
        + joint(world, b, *given)
        - joint(world, a, b, *given)
        - joint(world, *given)
    )


def encoded(world: World, encoder: np.ndarray) -> World:
    """The table p(z1, v2, T, v1)."""
    table = np.zeros((encoder.max() + 1, *world.shape[1:], len(encoder)), dtype=world.dtype)
    for value, symbol in enumerate(encoder):
        table[symbol, :, :, value] += world[value]
    return table


Z, V2, T, V1 = range(4)


def sufficient(world: World) -> list[World]:
    """The tables of all encoders that keep what the views share: I(z1; v2) = I(v1; v2)."""
    tables = [encoded(world, encoder) for encoder in partitions(len(world))]
    shared = mutual(world, 0, 1)
    return [table for table in tables if mutual(table, Z, V2) >= shared - TOLERANCE]


def minimal(tables: list[World]) -> World:
    """Of the sufficient ones the one that knows least of its view (definition 2)."""
    return min(tables, key=lambda table: mutual(table, Z, V1))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """v1 = (s, n1) and v2 = (s, n2): the shared part s, and what each view has alone; n1 and n2 are
    independent given s. T depends on v1, the input of the task, by any channel."""
    shared, own, other = draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)))
    tasks = draw(st.integers(2, 3))

    def numbers(low: int, *shape: int) -> np.ndarray:
        n = int(np.prod(shape))
        return np.array(draw(st.lists(st.integers(low, 4), min_size=n, max_size=n))).reshape(shape)

    p_own, p_other, p_t = (
        numbers(1, shared, own),
        numbers(1, shared, other),
        numbers(0, shared, own, tasks),
    )
    p_t[..., 0] += p_t.sum(-1) == 0
    # every row of p_t gets the same sum, so that T says nothing of how often v1 occurs
    p_t = p_t * (int(np.lcm.reduce(p_t.sum(-1).ravel())) // p_t.sum(-1, keepdims=True))
    world = np.zeros((shared, own, shared, other, tasks), dtype=np.int64)
    for s in range(shared):
        world[s, :, s] = p_own[s][:, None, None] * p_other[s][:, None] * p_t[s][:, None, :]
    return world.reshape(shared * own, shared * other, tasks)


def bayes_error(table: World) -> float:
    """1 - E max p(T | z1)."""
    p = table.sum(axis=(V2, V1)) / table.sum()
    return float(1 - p.max(axis=1).sum())


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_theorem_1_the_minimal_loses_just_what_is_not_shared(world: World) -> None:
    tables = sufficient(world)
    least = minimal(tables)
    known, shown = mutual(world, 0, 2), mutual(world, 0, 2, 1)  # I(v1; T), I(v1; T | v2)
    assert abs(mutual(least, Z, V1, V2)) < TOLERANCE  # it has nothing that is not shared
    minimum = mutual(least, Z, T)
    assert known == pytest.approx(minimum + shown, abs=TOLERANCE)
    for table in tables:
        own = mutual(table, Z, T)
        assert own == pytest.approx(minimum + mutual(table, Z, T, V2), abs=TOLERANCE)
        assert known >= own - TOLERANCE
        assert own >= minimum - TOLERANCE


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_theorem_2_bounds_the_bayes_error_of_every_sufficient_encoder(world: World) -> None:
    h = joint(world, 2)
    three = mutual(world, 0, 2) - mutual(world, 0, 2, 1)  # I(v1; v2; T)
    for table in sufficient(world):
        bound = 1 - np.exp(-(h - mutual(table, Z, T, V2) - three))
        assert bayes_error(table) <= bound + TOLERANCE
        assert bayes_error(table) <= bayes_error(minimal(sufficient(world))) + TOLERANCE


def test_colour_that_only_one_view_shows_is_lost_by_the_minimal_one() -> None:
    """Shape s and colour n are fair bits; v1 = (s, n), v2 = s; the task is the colour."""
    world = np.zeros((4, 2, 2), dtype=int)
    for s, n in product(range(2), range(2)):
        world[2 * s + n, s, n] = 1
    bit = np.log(2)
    tables = sufficient(world)
    least = minimal(tables)
    assert mutual(world, 0, 2, 1) == pytest.approx(bit)
    assert mutual(least, Z, T) == pytest.approx(0, abs=TOLERANCE)
    assert bayes_error(least) == 0.5
    assert max(mutual(table, Z, T) for table in tables) == pytest.approx(bit)
    assert min(bayes_error(table) for table in tables) == 0.0


def test_where_no_encoder_has_just_what_is_shared_the_gap_is_smaller() -> None:
    """The theorem's equality needs I(z_min; v1 | v2) = 0. Where v2 says something different of
    each value of v1, only the whole v1 is sufficient, and the minimal one loses nothing."""
    world = np.zeros((2, 2, 2), dtype=int)
    world[0, :, 0], world[1, :, 1] = [3, 1], [1, 3]
    least = minimal(sufficient(world))
    assert mutual(least, Z, V1, V2) > 0.1
    assert mutual(world, 0, 2, 1) > 0.1
    assert mutual(least, Z, T) == pytest.approx(mutual(world, 0, 2))


def test_a_task_of_what_each_view_has_alone_is_outside_the_theorem() -> None:
    """T = n1 xor n2 of two independent bits: v1 alone knows nothing of it, beside v2 everything.
    The theorem takes v1 as the input of the task."""
    world = np.zeros((2, 2, 2), dtype=int)
    for n1, n2 in product(range(2), range(2)):
        world[n1, n2, n1 ^ n2] = 1
    assert mutual(world, 0, 2) == pytest.approx(0, abs=TOLERANCE)
    assert mutual(world, 0, 2, 1) == pytest.approx(np.log(2))


@settings(max_examples=20, deadline=None)
@given(worlds())
def test_the_library_counts_the_same_information(world: World) -> None:
    v1, t = (np.repeat(axis.ravel(), world.ravel()) for axis in np.indices(world.shape)[[0, 2]])
    assert information(v1, t).i == pytest.approx(mutual(world, 0, 2), abs=TOLERANCE)


ALPHA = {"uniform": 1 / 12, "laplace": 1 / (2 * np.e**2), "norm": 1 / (2 * np.pi * np.e)}
"""Theorem 3's constant, the error's variance over exp(2 h), h its differential entropy."""


@pytest.mark.parametrize("name", ALPHA)
@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_theorem_3_has_the_constants_of_its_three_distributions(name: str, scale: float) -> None:
    error = getattr(stats, name)(scale=scale)
    assert error.var() == pytest.approx(ALPHA[name] * np.exp(2 * float(error.entropy())))


def line(shared: int, own: int, other: int) -> World:
    """v1 = (s, n1) is a cell of a line, and T is uniform in it: counts (V1, V2, cell of T).

    Both of v1's parts say where T is; v2 = (s, n2) knows the first one alone."""
    world = np.zeros((shared * own, shared * other, shared * own), dtype=np.int64)
    for s, n1, n2 in product(range(shared), range(own), range(other)):
        world[s * own + n1, s * other + n2, s * own + n1] = 1
    return world


def squared_error(table: World) -> float:
    """min E (T - T~(z1))^2 where T is uniform in each of its unit cells."""
    p = table.sum(axis=(V2, V1)) / table.sum()
    centre = np.arange(p.shape[1]) + 0.5
    mean = (p @ centre) / p.sum(1)
    return float((p * (centre - mean[:, None]) ** 2).sum() + 1 / 12)


@pytest.mark.parametrize(("shared", "own"), [(1, 4), (2, 2), (2, 3), (3, 2), (4, 1)])
@pytest.mark.parametrize("other", [1, 2])
def test_theorem_3_is_exact_for_errors_of_one_width_and_else_a_bound(
    shared: int, own: int, other: int
) -> None:
    """Encoders whose symbols are intervals leave an error that is uniform, as the theorem wants.

    Where all intervals are as wide, R_e is alpha exp(2 (H(T) - I(z1; T))), whose information is
    parted as the theorem parts it. Where they differ, the mean of the squares is above the square
    of the geometric mean: the theorem's equality is then a bound from below.
    """
    world = line(shared, own, other)
    common = mutual(world, 0, 2) - mutual(world, 0, 2, 1)  # I(v1; v2; T)
    widths = set()
    tables = sufficient(world)
    least = minimal(tables)
    for table in tables:
        p = table.sum(axis=(V2, V1)) > 0
        if any((np.diff(np.flatnonzero(row)) != 1).any() for row in p):
            continue  # the error is not uniform
        said = np.log(shared * own) - mutual(table, Z, T, V2) - common
        theorem = ALPHA["uniform"] * np.exp(2 * said)
        equal = len(set(p.sum(1))) == 1
        widths.add(equal)
        if equal:
            assert squared_error(table) == pytest.approx(theorem)
        else:
            assert squared_error(table) > theorem + 1e-6
        assert squared_error(table) <= squared_error(least) + TOLERANCE
    assert True in widths
    assert squared_error(least) == pytest.approx(own**2 / 12)


def test_theorem_3_needs_errors_of_one_width() -> None:
    """Of five cells two and three are told from each other: (2^3 + 3^3) / (12 * 5) against
    exp(2 (2 log 2 + 3 log 3) / 5) / 12."""
    world = line(5, 1, 1)
    table = encoded(world, np.array([0, 0, 1, 1, 1]))
    said = np.log(5) - mutual(table, Z, T)
    assert squared_error(table) == pytest.approx(35 / 60)
    bound = np.exp(2 * said) / 12
    assert bound == pytest.approx(np.exp(2 * (2 * np.log(2) + 3 * np.log(3)) / 5) / 12)
    assert squared_error(table) > bound + 0.04
