"""The rule of judgement: its errors and its power by simulation, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from viewfinder.papers.judgement import (
    LEVEL,
    Evidence,
    above,
    detectable,
    every,
    holm,
    interval,
    peaked,
    slopes,
    some,
    verdicts,
    within,
)

TRIALS = 40_000
# four standard errors of a share of 2.5 % among the trials
ALLOWED = LEVEL + 4 * np.sqrt(LEVEL * (1 - LEVEL) / TRIALS)

SEEDS = pytest.mark.parametrize("n", [3, 5, 10])
NOISES = pytest.mark.parametrize("noise", ["gaussian", "student 3", "mixture"])


def drawn(noise: str, *shape: int) -> np.ndarray:
    """Noise of mean zero: Gaussian, Student's t of 3 degrees, or one in ten five times wider."""
    rng = np.random.default_rng([len(noise), *shape])
    if noise == "student 3":
        return rng.standard_t(3, shape)
    wide = 1 + 4 * (rng.random(shape) < 0.1) if noise == "mixture" else 1.0
    return rng.standard_normal(shape) * wide


def errors(evidence: Evidence) -> tuple[float, float]:
    """How often one claim alone would be called true, and false."""
    return float((evidence.against <= LEVEL).mean()), float((evidence.against_no <= LEVEL).mean())


@SEEDS
@NOISES
def test_no_difference_is_called_one_in_5_of_100_at_most(n: int, noise: str) -> None:
    yes, no = errors(above(drawn(noise, TRIALS, n)))
    assert max(yes, no) <= ALLOWED
    if noise == "gaussian":  # and the level is used
        assert min(yes, no) > LEVEL - (ALLOWED - LEVEL)


@SEEDS
@NOISES
def test_a_loss_as_large_as_the_margin_is_hardly_called_no_worse(n: int, noise: str) -> None:
    margin = 0.7
    yes, _ = errors(above(drawn(noise, TRIALS, n) - margin, -margin))
    assert yes <= ALLOWED


@SEEDS
@NOISES
@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_as_large_as_the_margin_is_hardly_called_none(
    n: int, noise: str, sign: int
) -> None:
    margin = 5.0
    yes, _ = errors(within(drawn(noise, TRIALS, n) + sign * margin, margin))
    assert yes <= ALLOWED


@SEEDS
def test_equal_arms_are_not_called_different_beyond_the_margin(n: int) -> None:
    assert errors(within(drawn("gaussian", TRIALS, n), 0.3))[1] <= ALLOWED


@SEEDS
@NOISES
@pytest.mark.parametrize("levels", [3, 5, 7])
def test_a_plateau_is_hardly_called_peaked(n: int, noise: str, levels: int) -> None:
    yes, no = errors(peaked(drawn(noise, TRIALS, levels, n)))
    assert max(yes, no) <= ALLOWED


@SEEDS
@pytest.mark.parametrize("slope", [0.5, 5.0])
def test_a_rise_is_hardly_called_peaked(n: int, slope: float) -> None:
    y = drawn("gaussian", TRIALS, 5, n) + slope * np.arange(5)[:, None]
    assert errors(peaked(y))[0] <= ALLOWED


def test_a_peak_and_its_absence_are_found_with_enough_seeds() -> None:
    y = drawn("gaussian", 2000, 5, 5)
    peak = np.array([0.0, 4.0, 8.0, 4.0, 0.0])[:, None]
    assert errors(peaked(y + peak))[0] > 0.99
    assert errors(peaked(y - peak))[1] > 0.99
    assert errors(peaked(y + 8 * np.arange(5)[:, None]))[1] > 0.99


@SEEDS
@NOISES
def test_a_flat_course_has_no_slope(n: int, noise: str) -> None:
    assert max(errors(above(slopes([1, 2, 4, 9], drawn(noise, TRIALS, 4, n))))) <= ALLOWED


@SEEDS
def test_a_page_without_any_difference_has_a_false_verdict_in_5_of_100_cases(n: int) -> None:
    """Twelve comparisons with one baseline, as a table has them."""
    rows, base = drawn("gaussian", 3000, 12, n), drawn("student 3", 3000, 1, n)
    p = np.stack(above(rows - base), -1).min(-1)
    wrong = np.mean([min(holm(page)) <= LEVEL for page in p.tolist()])
    assert wrong <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 3000)


@SEEDS
@pytest.mark.parametrize("claims", [1, 12])
def test_the_detectable_difference_is_found_in_80_of_100_cases(n: int, claims: int) -> None:
    unit = np.arange(n) - (n - 1) / 2
    effect = detectable(list(unit / unit.std(ddof=1)), claims)
    found = above(drawn("gaussian", 20_000, n) + effect).against <= LEVEL / claims
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_two_of_many_parts() -> None:
    strong, weak, against = Evidence(0.001, 1.0), Evidence(0.2, 0.8), Evidence(1.0, 0.002)
    assert every([strong, weak]) == (0.2, 1.0)
    assert every([strong, against]) == (1.0, 0.004)
    assert some([strong, against]) == (0.002, 1.0)
    assert some([against, against])[1] == 0.002


def test_one_comparison_is_scipys_paired_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 6))
    greater = stats.ttest_rel(a, b, alternative="greater")
    assert above(a - b).against == pytest.approx(greater.pvalue)
    assert above(a - b).against_no == pytest.approx(1 - greater.pvalue)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert interval(list(a - b)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("d", [[0.1], [0.1, 0.1, 0.1], [float("nan"), 0.1, 0.2]])
def test_what_has_no_known_spread_is_left_open(d: list[float]) -> None:
    assert above(d) == (1.0, 1.0)
    assert verdicts([above(d)]) == [None]


def test_holm_steps_down_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert verdicts([Evidence(0.02, 0.98), Evidence(0.9, 0.1)]) == [None, None]
    assert verdicts([Evidence(0.02, 0.98)]) == [True]
    assert verdicts([Evidence(0.001, 0.9), Evidence(0.9, 0.002)]) == [True, False]
