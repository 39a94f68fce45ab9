"""Ridge regression against scikit-learn and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.shapes.source import shapes_source
from viewfinder.data.source import Source, Split
from viewfinder.data.stored import ArrayData
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.ridge_regression import (
    absolute_error,
    angular_error,
    fit_ridge,
    fit_ridge_probe,
    on_circle,
    r_squared,
)
from viewfinder.evaluation.probes.targets import Classes, Quantity, find_target


def draws(rows: int, dim: int, columns: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = 3 + torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    w = torch.randn(dim, columns, generator=generator, dtype=torch.float64)
    return x, x @ w + 0.5 * torch.randn(rows, columns, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("rows", "dim"), [(60, 7), (9, 30), (12, 12)])
@pytest.mark.parametrize("penalty", [1e-3, 0.2, 40.0])
def test_ridge_is_that_of_scikit_learn(rows: int, dim: int, penalty: float) -> None:
    x, y = draws(rows, dim, 3)
    weight, bias = fit_ridge(x, y, [0.7, penalty])
    theirs = Ridge(alpha=penalty * rows, solver="svd").fit(x.numpy(), y.numpy())
    assert weight.dtype == torch.float64
    np.testing.assert_allclose(weight[1].T, theirs.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(bias[1], theirs.intercept_, rtol=1e-8, atol=1e-9)


def test_ridge_of_one_feature_is_its_closed_form() -> None:
    x, y = draws(50, 1, 1)
    (weight,), (bias,) = fit_ridge(x, y, [0.3])
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    expected = covariance / (x.var(correction=0) + 0.3)
    torch.testing.assert_close(weight[0, 0], expected)
    torch.testing.assert_close(bias[0], y.mean() - expected * x.mean())


def test_float32_features_are_fitted_in_float64() -> None:
    x, y = draws(40, 5, 1)
    probe = fit_ridge_probe(x.float(), y.float(), penalties=[0.1])
    z = (x.float().double() - x.float().double().mean(0)) / x.float().double().std(0, correction=0)
    theirs = Ridge(alpha=0.1 * 40).fit(z.numpy(), y.float().double().numpy().ravel())
    np.testing.assert_allclose(probe.weight[:, 0], theirs.coef_, rtol=1e-9)


def test_the_penalty_is_chosen_on_held_out_rows_and_all_rows_are_fitted() -> None:
    x, _ = draws(60, 40, 1)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(60, 1, generator=generator, dtype=torch.float64)
    chosen = fit_ridge_probe(x, noise, penalties=[1e-4, 1.0, 1e4])
    assert chosen.penalty == 1e4  # nothing can be known, so nothing should be said
    assert chosen.selection is not None
    assert chosen.selection.rows == 9
    assert chosen.selection.chosen == int(np.argmin(chosen.selection.squared_error))
    exact = fit_ridge_probe(x, x[:, :1] * 2 - 1, penalties=[1e-6, 1.0, 1e4])
    assert exact.penalty == 1e-6
    single = fit_ridge_probe(x, noise, penalties=[1e4])
    torch.testing.assert_close(single.weight, chosen.weight)


def test_measures_are_those_of_scikit_learn() -> None:
    _, y = draws(30, 4, 2)
    found = y + torch.linspace(-1, 2, 60, dtype=torch.float64).view(30, 2)
    expected = r2_score(y, found, multioutput="variance_weighted")
    assert r_squared(y, found) == pytest.approx(expected, rel=1e-12)
    expected = mean_absolute_error(y, found)
    assert absolute_error(y, found) == pytest.approx(expected, rel=1e-12)
    assert r_squared(y, y) == 1
    assert r_squared(y, y.mean(0).expand_as(y)) == pytest.approx(0)


def test_angles_are_measured_on_the_circle() -> None:
    truth = torch.tensor([350.0, 5.0, 180.0], dtype=torch.float64)
    found = on_circle(torch.tensor([10.0, 355.0, 0.0]), 360)
    # 20, 10 and 180 degrees, whatever the length of the predicted vector
    assert angular_error(truth, 0.1 * found, 360) == pytest.approx(70)
    torch.testing.assert_close(
        on_circle(torch.tensor([0.0, math.pi / 2], dtype=torch.float64), 2 * math.pi),
        torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64),
        atol=1e-12,
        rtol=0,
    )


def test_wrong_arguments() -> None:
    x, y = draws(5, 2, 1)
    with pytest.raises(ValueError, match="penalties must be positive"):
        fit_ridge(x, y, [1.0, 0.0])
    with pytest.raises(ValueError, match="are expected"):
        fit_ridge(x, y[:, 0], [1.0])
    with pytest.raises(ValueError, match="too few"):
        fit_ridge_probe(x[:2], y[:2])


def test_an_angle_in_the_features_is_found_across_the_seam() -> None:
    angle = np.linspace(0, 720, 90, endpoint=False)[:, None]
    x = on_circle(torch.from_numpy(angle[:, 0]), 360)
    target = Quantity("angle", angle, angle[:40], "degrees", 360.0)
    score = regress_features(x, x[:40], target, data="d", layer="l")
    assert score.error < 1e-3
    assert score.r2 == pytest.approx(1, abs=1e-6)
    assert (score.unit, score.protocol["as"]) == ("degrees", "cosine and sine")
    # read as a plain number the seam cannot be predicted linearly
    plain = regress_features(x, x[:40], Quantity("a", angle, angle[:40], ""), data="d", layer="l")
    assert plain.error > 20


def test_units_of_the_factors_of_shapes() -> None:
    source = shapes_source(32, train=20, test=10)
    position = find_target(source, "position")
    size, turn = find_target(source, "size"), find_target(source, "rotation")
    assert isinstance(position, Quantity) and isinstance(size, Quantity)
    assert isinstance(turn, Quantity)
    assert (position.unit, size.unit, turn.unit) == ("px", "px", "degrees")
    factors = source.train.factors
    np.testing.assert_allclose(size.train[:, 0], 32 * factors["size"])
    np.testing.assert_allclose(turn.train[:, 0], np.degrees(factors["rotation"]))
    assert (position.train.shape, position.period, turn.period) == ((20, 2), None, 360)
    assert isinstance(find_target(source, "texture"), Classes)
    assert isinstance(find_target(source, "texture:kind"), Quantity)
    assert isinstance(find_target(source, None), Classes)


def made(**factors: np.ndarray) -> Source:
    images = ArrayData(torch.zeros(6, 1, 4, 4, dtype=torch.uint8))
    splits = {name: Split(name, images, factors=factors) for name in ("train", "test")}
    return Source("npz:x", splits)


def test_an_angle_of_ones_own_data_is_named_by_its_unit() -> None:
    half = made(angle=np.linspace(0, np.pi, 6))
    target = find_target(half, "angle:rad")
    assert isinstance(target, Quantity)
    np.testing.assert_allclose(target.train[:, 0], np.linspace(0, 180, 6))
    assert (target.unit, target.period) == ("degrees", 360)
    plain = find_target(half, "angle")
    assert isinstance(plain, Quantity) and (plain.unit, plain.period) == ("", None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("still", r"still of npz:x \(train\) is 2 in all 6 images.*Try: another factor"),
        ("mixed", r"mixed of npz:x .* is 1 in all 6"),
        ("broken", "2 of 6 rows are not finite"),
        ("picture", "1 to 16 real numbers"),
        ("word", "1 to 16 real numbers"),
        ("plane", "unknown factor of npz:x 'plane'.*Known: "),
        ("pair:deg", "2 values per image; an angle is one"),
        (None, "has no labels"),
    ],
)
def test_targets_that_cannot_be_measured(word: str | None, message: str) -> None:
    source = made(
        still=np.full(6, 2.0),
        mixed=np.stack([np.arange(6.0), np.ones(6)], 1),
        broken=np.array([0, 1, 2, np.nan, np.inf, 3]),
        picture=np.zeros((6, 4, 8)),
        word=np.array(["a"] * 6),
        pair=np.random.default_rng(0).random((6, 2)),
    )
    with pytest.raises(UserError, match=message):
        find_target(source, word)


def test_a_source_without_factors_says_so() -> None:
    with pytest.raises(UserError, match="has no factors"):
        find_target(made(), "size")
