"""The reverse U: how often it is seen where there is none, and where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from viewfinder.papers.judgement import LEVEL, fixing, peak_of, reverse_u

TRIALS = 20_000
ALLOWED = LEVEL + 4 * np.sqrt(LEVEL * (1 - LEVEL) / TRIALS)
SEEDS = pytest.mark.parametrize("n", [3, 5, 10])

WITHOUT = {
    "flat": [0, 0, 0, 0, 0],
    "rising": [0, 1, 2, 3, 4],
    "falling": [4, 3, 2, 1, 0],
    "saturating": [0, 9, 9, 9, 9],  # where its highest level is, is chance
    "with a hole": [0, -1, -2, -1, 0],
}


def noisy(curve: list[float], n: int, noise: str = "gaussian") -> np.ndarray:
    """Values (TRIALS, levels, n) around a curve."""
    rng = np.random.default_rng([n, len(noise)])
    shape = (TRIALS, len(curve), n)
    e = rng.standard_normal(shape) if noise == "gaussian" else rng.standard_t(3, shape)
    return np.asarray(curve, float)[:, None] + e


def share(p: np.ndarray) -> float:
    return float((p <= LEVEL).mean())


@SEEDS
@pytest.mark.parametrize("noise", ["gaussian", "student 3"])
@pytest.mark.parametrize("name", WITHOUT)
def test_no_peak_is_hardly_called_a_reverse_u(name: str, noise: str, n: int) -> None:
    assert share(reverse_u(noisy(WITHOUT[name], n, noise)).against) <= ALLOWED


def test_the_highest_mean_being_inside_is_no_evidence() -> None:
    """What is avoided: a flat curve's own highest level, tested by the seeds that chose it."""
    y = noisy(WITHOUT["flat"], 3)
    means = y.mean(-1)
    inside = np.isin(means.argmax(1), (1, 2, 3))
    deviation = np.sqrt(2 / 3)  # known here; the naive rule asks for one of them on both sides
    naive = inside & (means.max(1) - np.maximum(means[:, 0], means[:, -1]) > deviation)
    assert naive.mean() > 0.05 > LEVEL >= share(reverse_u(y).against)


@SEEDS
def test_a_peak_is_hardly_denied(n: int) -> None:
    assert share(reverse_u(noisy([0, 3, 6, 3, 0], n)).against_no) <= ALLOWED


@pytest.mark.parametrize("name", ["rising", "falling", "with a hole"])
def test_its_absence_is_seen(name: str) -> None:
    strong = [4 * value for value in WITHOUT[name]]
    assert share(reverse_u(noisy(strong, 5)).against_no) > 0.8


def test_five_seeds_see_a_clear_peak_and_ten_a_smaller_one() -> None:
    curve = np.array([0, 0.7, 1, 0.7, 0])
    assert share(reverse_u(noisy(list(6 * curve), 5)).against) > 0.9
    assert share(reverse_u(noisy(list(3 * curve), 10)).against) > 0.9
    assert share(reverse_u(noisy(list(6 * curve), 3)).against) < 0.5  # three are too few


def test_the_peak_is_fixed_by_other_seeds_than_test_it() -> None:
    y = np.zeros((3, 5)) + np.random.default_rng(0).normal(0, 0.01, (3, 5))
    y[1, fixing(5) :] += 1.0  # a peak that the first seed does not show
    y[2, 0] += 1.0
    assert peak_of(y) == 2
    assert reverse_u(y).against == 1.0
    y[1, 0] += 2.0
    assert peak_of(y) == 1
    assert reverse_u(y).against < LEVEL
    # whatever the first seed says of how high it is, it is not in the evidence
    higher = y.copy()
    higher[1, 0] += 100
    assert reverse_u(higher).against == reverse_u(y).against


@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (2, 5), (1, 5)])
def test_too_little_says_nothing(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(0).random(shape)
    assert reverse_u(y) == (1.0, 1.0)
