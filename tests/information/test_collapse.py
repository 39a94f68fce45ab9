from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from viewfinder.information.collapse import diagnose, feature_std, rankme


def gaussian(n: int, dim: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator, dtype=torch.float64)


def orthogonal(n: int, dim: int) -> Tensor:
    return torch.linalg.qr(gaussian(n, dim)).Q


def test_equal_singular_values_have_full_rank() -> None:
    assert rankme(orthogonal(200, 16), eps=0.0).item() == pytest.approx(16, rel=1e-12)


def test_one_direction_has_rank_one() -> None:
    z = gaussian(100, 1) @ gaussian(1, 16, seed=1)
    assert rankme(z, eps=0.0).item() == pytest.approx(1, rel=1e-9)
    assert rankme(z).item() == pytest.approx(1, abs=1e-4)


def test_the_entropy_of_given_singular_values() -> None:
    """σ = (3, 1): p = (3/4, 1/4), by hand exp(−¾ ln ¾ − ¼ ln ¼) = 4 / 3^{3/4}."""
    z = orthogonal(50, 2) @ torch.diag(torch.tensor([3.0, 1.0]).double()) @ orthogonal(2, 2).T
    assert rankme(z, eps=0.0).item() == pytest.approx(4 / 3**0.75, rel=1e-12)


def test_a_matrix_of_zeros_has_rank_zero() -> None:
    assert rankme(torch.zeros(5, 3)).item() == 0.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), dim=st.integers(1, 12), exponent=st.integers(-30, 30))
def test_scale_and_rotation_change_neither(seed: int, dim: int, exponent: int) -> None:
    z = gaussian(30, dim, seed) + 0.5
    scaled = 10.0**exponent * z
    torch.testing.assert_close(rankme(scaled), rankme(z))
    torch.testing.assert_close(rankme(z @ orthogonal(dim, dim)), rankme(z))
    assert 1 - 1e-4 <= rankme(z).item() <= dim * (1 + 1e-4)
    torch.testing.assert_close(feature_std(scaled), feature_std(z))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), dim=st.integers(1, 12), exponent=st.integers(-30, 30))
def test_the_scale_of_single_rows_changes_no_direction(seed: int, dim: int, exponent: int) -> None:
    z = (gaussian(30, dim, seed) + 0.5).float()
    rows = torch.where(torch.arange(30) % 2 == 0, 1.0, 10.0**exponent)
    torch.testing.assert_close(feature_std(rows[:, None] * z), feature_std(z))


def test_rows_of_zeros_have_no_direction() -> None:
    z = torch.cat([torch.zeros(2, 3), torch.eye(3)[:2]])
    assert feature_std(z).item() == pytest.approx(
        F.normalize(z, dim=1).std(0, correction=0).sum().item() / 3**0.5
    )


def test_isotropic_features_have_std_one() -> None:
    # the estimate of each √D·std has a relative error of about 1/√(2N)
    assert feature_std(gaussian(20000, 32)).item() == pytest.approx(1, abs=0.01)
    corners = torch.cat([torch.eye(8), -torch.eye(8)]).double()
    assert feature_std(corners).item() == pytest.approx(1, rel=1e-12)


def test_constant_features_have_std_zero() -> None:
    z = gaussian(1, 16).expand(50, 16)
    assert feature_std(z).item() == pytest.approx(0, abs=1e-12)
    # the length of a feature is no variety
    assert feature_std(z * torch.linspace(1, 9, 50)[:, None]).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_types(dtype: torch.dtype) -> None:
    z = gaussian(40, 6).to(dtype)
    wanted = torch.float64 if dtype == torch.float64 else torch.float32
    assert feature_std(z).dtype == wanted
    assert rankme(z).dtype == wanted


def test_features_that_are_not_finite_are_not_hidden() -> None:
    z = gaussian(10, 4)
    z[2, 1] = torch.nan
    assert math.isnan(rankme(z))
    assert math.isnan(feature_std(z))


@pytest.mark.parametrize("shape", [(4,), (0, 3), (2, 3, 4)])
def test_shapes_that_are_no_matrix(shape: tuple[int, ...]) -> None:
    for measure in (feature_std, rankme):
        with pytest.raises(ValueError, match="are expected"):
            measure(torch.zeros(shape))


def diagnosis(z: Tensor) -> str | None:
    return diagnose(feature_std(z).item(), rankme(z).item(), z.shape[1])


def test_diagnosis_of_what_collapse_looks_like() -> None:
    noise = gaussian(300, 64)
    assert diagnosis(noise) is None
    # a large common mean, as untrained networks have
    assert diagnosis(0.2 * noise + 3) is None
    constant = diagnosis(torch.ones(300, 64) + 1e-4 * noise)
    assert constant is not None
    assert "same vector for every image" in constant
    line = diagnosis(gaussian(300, 1, seed=1) @ gaussian(1, 64, seed=2) + 1e-5 * noise)
    assert line is not None
    assert "single direction" in line
    broken = diagnose(math.nan, 3.0, 64)
    assert broken is not None
    assert "not finite" in broken


def test_two_dimensions_may_have_a_low_rank() -> None:
    assert diagnose(0.5, 1.2, 2) is None
