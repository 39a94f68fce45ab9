"""Schedules, against other implementations and at their ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from golden.cases import Case, golden_cases
from hypothesis import given
from hypothesis import strategies as st

from viewfinder.core.schedules import (
    cosine,
    cosine_momentum,
    decay,
    linear,
    multistep,
    warmup_cosine,
)


@pytest.mark.parametrize("case", golden_cases("schedules", lambda c: "W" in c.params))
def test_golden_warmup_cosine(case: Case) -> None:
    p = case.params
    ours = {
        include_end: [
            warmup_cosine(
                step,
                p["total"],
                p["W"],
                p["end"],
                peak=p["base"],
                start=p["start"],
                include_end=include_end,
            )
            for step in case.array("in/steps").tolist()
        ]
        for include_end in (True, False)
    }
    np.testing.assert_allclose(ours[True], case.array("f64/value"), rtol=1e-12, atol=1e-15)
    for other in case.alternatives:  # dino, lightning_bolts
        theirs = case.array(f"alt/{other}/value")
        np.testing.assert_allclose(ours[False], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", golden_cases("schedules", lambda c: "W" not in c.params))
def test_golden_cosine_and_momentum(case: Case) -> None:
    total, base, end = (case.params[name] for name in ("total", "base", "end"))
    steps = case.array("in/steps").tolist()
    ours = [cosine(step, total, base, end) for step in steps]
    np.testing.assert_allclose(ours, case.array("f64/value"), rtol=1e-12)
    momentum = [cosine_momentum(step, total, base, end) for step in steps]
    np.testing.assert_allclose(momentum, case.array("alt/solo_learn_tau/value"), rtol=1e-12)


@given(
    total=st.integers(1, 50),
    warmup=st.integers(0, 60),
    peak=st.floats(0.01, 10),
    include_end=st.booleans(),
)
def test_rises_to_the_peak_falls_to_the_end_and_stays(
    total: int, warmup: int, peak: float, include_end: bool
) -> None:
    warmup = min(warmup, total)
    values = [
        warmup_cosine(step, total, warmup, 0.001, peak=peak, include_end=include_end)
        for step in range(total + 5)
    ]
    assert all(0 <= value <= peak * (1 + 1e-12) for value in values)
    assert np.all(np.diff(values[:warmup]) >= 0)
    assert np.all(np.diff(values[warmup:]) <= 1e-12)
    assert values[total:] == [0.001] * 5
    if include_end and total > warmup:
        assert values[total - 1] == 0.001


def test_linear_and_multistep_equal_the_schedulers_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torch_multistep = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], gamma=0.2)
    for step in range(8):
        assert multistep(step, [3, 5], 0.2) == pytest.approx(torch_multistep.get_last_lr()[0])
        optimizer.step()
        torch_multistep.step()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torch_linear = torch.optim.lr_scheduler.LinearLR(optimizer, 0.5, 0.1, total_iters=4)
    for step in range(8):
        assert linear(step, 5, 0.5, 0.1) == pytest.approx(torch_linear.get_last_lr()[0])
        optimizer.step()
        torch_linear.step()


@pytest.mark.parametrize("case", golden_cases("carl_lambda_schedule"))
def test_golden_decay(case: Case) -> None:
    p = case.params
    ours = [decay(int(e), p["E"], p["b"], p["a"]) for e in case.array("in/epochs")]
    np.testing.assert_allclose(ours, case.array("f64/lambda"), rtol=1e-12)


@pytest.mark.parametrize("shape", ["linear", "exponential", "cosine"])
def test_decay_keeps_its_ends_and_falls(shape: str) -> None:
    values = [decay(e, 10, 4.0, 1.5, shape) for e in range(13)]
    assert (values[0], values[10:]) == (4.0, [1.5] * 3)
    assert all(a > b for a, b in itertools.pairwise(values[:11]))
    middle = {"linear": 2.75, "exponential": 6**0.5, "cosine": 2.75}
    assert values[5] == pytest.approx(middle[shape])


@pytest.mark.parametrize(
    "wrong", [(0, 4.0, 1.0, "linear"), (9, -1.0, 1.0, "cosine"), (9, 4.0, 0.0, "exponential")]
)
def test_decay_of_nothing_is_refused(wrong: tuple) -> None:
    with pytest.raises(ValueError, match=r"at least one epoch|cannot decay"):
        decay(0, *wrong)
