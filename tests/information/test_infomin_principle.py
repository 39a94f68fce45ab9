"""Proposition 3.1 of InfoMin (Tian et al. 2020) in a discrete world, by enumeration.

Views are functions of x, so partitions of its values; of all pairs of partitions that keep what x
says of the task, those that share least share exactly I(x; y), are independent given y, and what
they share is all that the task needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest


def partitions(n: int) -> Iterator[tuple[int, ...]]:
    """All partitions of n values, as labels in order of first use: Bell's number of them."""

    def grow(labels: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(labels) == n:
            yield labels
            return
        for next_ in range(max(labels, default=-1) + 2):
            yield from grow((*labels, next_))

    return grow(())


def information(joint: np.ndarray) -> float:
    """I of a table of probabilities, nats."""
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    kept = joint > 0
    return float((joint[kept] * np.log(joint[kept] / outer[kept])).sum())


def table(a: tuple[int, ...], b: np.ndarray) -> np.ndarray:
    """P(a(x), b): b (n, m), the joint of x and the other variable."""
    found = np.zeros((max(a) + 1, b.shape[1]))
    for value, row in zip(a, b, strict=True):
        found[value] += row
    return found


def indicator(v: tuple[int, ...], p: np.ndarray) -> np.ndarray:
    """P(x, v(x)) as a table."""
    found = np.zeros((len(v), max(v) + 1))
    found[np.arange(len(v)), v] = p
    return found


WORLDS = {
    # x = (y, nuisance), all alike: the task is one bit of 2.58
    "a task beside a nuisance": (np.full(6, 1 / 6), np.repeat(np.eye(2), 3, axis=0)),
    # unequal masses, three classes of different size
    "unequal classes": (np.array([0.3, 0.1, 0.2, 0.15, 0.25]),
                        np.eye(3)[[0, 0, 1, 1, 2]]),
    # y is not a function of x, but p(y|x) has two values only
    "a noisy task": (np.full(5, 0.2),
                     np.array([[0.9, 0.1]] * 2 + [[0.2, 0.8]] * 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_no_sufficient_views_share_less_than_the_task_and_some_share_that(name: str) -> None:
    p, y_given_x = WORLDS[name]
    xy = p[:, None] * y_given_x
    whole = information(xy)
    views = [v for v in partitions(len(p)) if information(table(v, xy)) > whole - 1e-12]
    assert tuple(range(len(p))) in views and 1 < len(views) < 203
    deterministic = np.isin(y_given_x, (0, 1)).all()
    shared = {(v, w): information(table(v, indicator(w, p))) for v, w in product(views, repeat=2)}
    least = min(shared.values())
    if deterministic:
        assert least == pytest.approx(whole, abs=1e-12)
    else:  # views are functions of x, so they share the minimal sufficient statistic itself
        statistic = np.unique(y_given_x, axis=0, return_inverse=True)[1].ravel()
        entropy = -sum(m * np.log(m) for m in np.bincount(statistic, weights=p))
        assert least == pytest.approx(entropy, abs=1e-12) and least > whole
    for (v, w), value in shared.items():
        assert value >= whole - 1e-12  # A.1: never less than the task
        if value > least + 1e-9:
            continue
        # A.2 and A.3: what the best views share is the minimal sufficient statistic, no more
        common = meet(v, w)
        assert information(table(common, xy)) == pytest.approx(whole, abs=1e-12)
        entropy = -sum(m * np.log(m) for m in np.bincount(common, weights=p))
        assert entropy == pytest.approx(least, abs=1e-12)
        if deterministic:  # and given the task they have nothing in common
            for label in range(y_given_x.shape[1]):
                own = xy[:, label] / xy[:, label].sum()
                assert information(table(v, indicator(w, own))) == pytest.approx(0, abs=1e-12)


def meet(v: tuple[int, ...], w: tuple[int, ...]) -> tuple[int, ...]:
    """What both views know of x: the finest partition that both refine (Gács and Körner)."""
    label = list(range(len(v)))
    for i, j in product(range(len(v)), repeat=2):
        if v[i] == v[j] or w[i] == w[j]:
            old, new = label[i], label[j]
            label = [new if one == old else one for one in label]
    order = {one: k for k, one in enumerate(dict.fromkeys(label))}
    return tuple(order[one] for one in label)


def test_less_than_the_task_cannot_be_sufficient_and_more_is_not_minimal() -> None:
    """The three regimes of section 3.2 along one family: x = (a, b, c), the task is b."""
    n = 8
    p = np.full(n, 1 / n)
    bits = np.array(list(product((0, 1), repeat=3)))
    xy = p[:, None] * np.eye(2)[bits[:, 1]]
    family = {
        "missing information": (0,) * n,
        "sweet spot": tuple(bits[:, 1].tolist()),
        "excess noise": tuple((2 * bits[:, 1] + bits[:, 2]).tolist()),
        "everything": tuple(range(n)),
    }
    found = {
        name: (information(table(v, indicator(v, p))), information(table(v, xy)))
        for name, v in family.items()
    }
    bit = np.log(2)
    assert found["missing information"] == pytest.approx((0, 0), abs=1e-12)
    assert found["sweet spot"] == pytest.approx((bit, bit))
    assert found["excess noise"] == pytest.approx((2 * bit, bit))
    assert found["everything"] == pytest.approx((3 * bit, bit))
