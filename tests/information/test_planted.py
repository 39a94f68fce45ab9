"""Planted information: what is known of the pairs, whatever the classes are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfinder.core.errors import UserError
from viewfinder.information.discrete import information
from viewfinder.information.planted import planted


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_classes_share_what_the_channel_lets_through(classes: int, noise: float) -> None:
    labels = np.random.default_rng(0).integers(0, classes, 20_000) * 7 - 3
    x, y = planted(labels, noise)
    others = math.log(classes - 1) if classes > 2 else 0.0
    entropy = -sum(p * math.log(p) for p in (noise, 1 - noise) if p)
    known = math.log(classes) - entropy - noise * others
    assert information(labels[x], labels[y]).i == pytest.approx(known, abs=0.01)
    assert len({*x, *y}) == 2 * len(x) > 19_000  # no image is in two pairs
    assert (labels[x] != labels[y]).mean() == pytest.approx(noise, abs=0.01)
    assert len(set(np.unique(labels[x], return_counts=True)[1])) == 1


def test_the_draw_is_of_the_seed_alone() -> None:
    labels = np.arange(100) % 4
    first, again, other = (planted(labels, 0.2, seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("labels", [np.zeros(50, int), np.r_[np.zeros(50, int), 1, 1, 1]])
def test_classes_without_room_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(UserError, match="classes, the smallest"):
        planted(labels, 0.1)
