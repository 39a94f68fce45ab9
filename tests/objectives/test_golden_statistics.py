"""Barlow Twins and VICReg: values and gradients of other implementations."""

from __future__ import annotations

import pytest
import torch
from golden.cases import Case, assert_golden, golden_cases
from test_log_partition import Largest

from viewfinder.objectives import barlow_twins, log_partition, vicreg
from viewfinder.objectives.correlation import squared_norm


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setitem(log_partition.BLOCK, "cpu", 20)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("barlow_twins"))
def test_golden_barlow_twins(case: Case) -> None:
    weight = case.params["lambda"]
    assert_golden(case, lambda x: barlow_twins(x["z0"], x["z1"], weight))
    for key, eps in (("infocl_unbiased", 0.0), ("stable_pretraining_unbiased", 1e-5)):
        if key in case.alternatives:
            assert_golden(
                case,
                lambda x, eps=eps: barlow_twins(
                    x["z0"], x["z1"], weight, deviation="unbiased", eps=eps
                ),
                alternative=key,
            )


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", golden_cases("vicreg"))
def test_golden_vicreg(case: Case) -> None:
    p = case.params
    weights = (p["lambda"], p["mu"], p["nu"])
    assert_golden(case, lambda x: vicreg(x["z0"], x["z1"], *weights, eps=p["eps"]))
    if case.alternatives:
        assert_golden(
            case,
            lambda x: vicreg(x["z0"], x["z1"], *weights, halved=False, eps=p["eps"]),
            alternative="solo_variance_not_halved",
        )


@pytest.mark.parametrize(("samples", "dim"), [(3, 7), (7, 3), (5, 5)])
def test_squared_norm_of_the_matrix_that_is_not_held(
    samples: int, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(samples, dim, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    wanted = (x.T @ y).square().sum()
    wanted_gradients = torch.autograd.grad(wanted, [x, y])
    monkeypatch.setitem(log_partition.BLOCK, "cpu", 2 * dim)
    value = squared_norm(x, y)
    torch.testing.assert_close(value, wanted, rtol=1e-13, atol=0)
    gradients = torch.autograd.grad(value, [x, y])
    torch.testing.assert_close(gradients, wanted_gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("deviation", ["biased", "unbiased"])
def test_a_dimension_that_never_varies_gives_no_nan(deviation: str) -> None:
    z0, z1 = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    z0[:, 1] = 2.0
    z0.requires_grad_()
    loss = barlow_twins(z0, z1, deviation=deviation, eps=1e-5 if deviation == "biased" else 0.0)
    (loss + vicreg(z0, z1)).backward()
    assert torch.isfinite(z0.grad).all()


@pytest.mark.parametrize("samples", [16, 96])
def test_the_matrix_of_correlations_is_never_there(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(log_partition.BLOCK, "cpu", 4 * 128)
    generator = torch.Generator().manual_seed(0)
    z0, z1 = torch.randn(2, samples, 128, generator=generator).unbind()
    z0.requires_grad_()
    z1.requires_grad_()
    with Largest() as largest:
        (barlow_twins(z0, z1) + vicreg(z0, z1)).backward()
    assert largest.elements <= samples * 128 < 128 * 128
