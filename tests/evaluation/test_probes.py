"""What every probe of the table keeps, and probes as functions of arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

import viewfinder as vf
from viewfinder.core.errors import UserError
from viewfinder.evaluation import probes
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build

Blobs = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture
def parts(blobs: Blobs) -> tuple[Tensor, ...]:
    return (*blobs(120, 3, 6, apart=12.0), *blobs(60, 3, 6, apart=12.0, seed=1))


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_keeps_the_contract(name: str, parts: tuple[Tensor, ...]) -> None:
    """Right on what is separable, whatever holds the numbers; its protocol says how."""
    score = evaluate_features(*parts, name)
    assert (score.top1, score.n_test) == (1.0, 60)
    common = {"protocol", "layer", "data", "split", "seed", "selection", "n_train", "dim", "notes"}
    assert common <= score.protocol.keys()
    assert score.protocol["protocol"] == name
    assert score.protocol["data"] == "own data"
    arrays = evaluate_features(*(part.numpy() for part in parts), name)
    assert arrays == score
    x, y, test_x, test_y = parts
    double = evaluate_features(x.double(), y, test_x, test_y.int(), name)
    assert (double.top1, double.per_class) == (1.0, score.per_class)
    assert evaluate_features(*parts, name) == score  # of the seed alone


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_is_at_chance_where_there_is_nothing(name: str) -> None:
    generator = torch.Generator().manual_seed(7)
    x, test_x = torch.randn(300, 4, generator=generator), torch.randn(1200, 4, generator=generator)
    y, test_y = (torch.randint(0, 3, (n,), generator=generator) for n in (300, 1200))
    top1 = evaluate_features(x, y, test_x, test_y, name).top1
    assert abs(top1 - 1 / 3) < 4 * (2 / 9 / 1200) ** 0.5


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_refuses_bad_labels_and_options(name: str, parts: tuple[Tensor, ...]) -> None:
    x, y, test_x, test_y = parts
    for bad, says in ((y.float(), "integer class"), (y - 1, "negative"), (y[1:], "do not fit")):
        with pytest.raises(UserError, match=says):
            evaluate_features(x, bad, test_x, test_y, name)
    with pytest.raises(UserError, match=f"unknown key {name}.no_such_option"):
        evaluate_features(*parts, name, options={"no_such_option": 1})
    recipe = build("simclr", {"evaluation": {"protocols": [name]}})
    check_parts(recipe)
    with pytest.raises(UserError, match=f"Did you mean '{name}'"):
        check_parts(build("simclr", {"evaluation": {"protocols": [f"{name}x"]}}))


def noisy(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    return np.eye(3)[y] + rng.normal(0, 0.7, (rows, 3)), y


def test_the_linear_probe_is_scikit_learns() -> None:
    (x, y), (test_x, test_y) = noisy(0, 200), noisy(1, 400)
    decay = 0.01
    score = probes.linear(x, y, test_x, test_y, weight_decays=[decay])
    mean, std = x.mean(0), x.std(0)
    peer = LogisticRegression(C=1 / (decay * len(x)), tol=1e-8, max_iter=1000)
    expected = peer.fit((x - mean) / std, y).score((test_x - mean) / std, test_y)
    assert score.top1 == pytest.approx(expected, abs=1e-12)
    assert score.protocol["weight_decay"] == decay


def test_knn_is_scikit_learns() -> None:
    (x, y), (test_x, test_y) = noisy(0, 200), noisy(1, 400)
    peer = KNeighborsClassifier(n_neighbors=7, metric="cosine")
    expected = peer.fit(x, y).score(test_x, test_y)
    score = probes.knn(torch.from_numpy(x), y, test_x, test_y, k=7, temperature=None)
    assert score.top1 == pytest.approx(expected, abs=1e-12)
    assert (score.protocol["k"], score.protocol["vote"]) == (7, "one each")


def test_ridge_is_scikit_learns_at_the_penalty_it_chose() -> None:
    rng = np.random.default_rng(0)
    x, test_x = rng.normal(size=(80, 5)), rng.normal(size=(40, 5))
    weight = rng.normal(size=(5, 2))
    y, test_y = x @ weight + rng.normal(size=(80, 2)), test_x @ weight
    score = probes.ridge(x, y, test_x, test_y, name="place", unit="px", data="made")
    penalty: Any = score.protocol["penalty"]
    mean, std = x.mean(0), x.std(0)
    peer = Ridge(alpha=penalty * len(x)).fit((x - mean) / std, y)
    error = np.abs(peer.predict((test_x - mean) / std) - test_y).mean()
    assert score.error == pytest.approx(error, rel=1e-9)
    assert (score.unit, score.protocol["target"], score.protocol["data"]) == ("px", "place", "made")


def test_an_angle_is_measured_on_the_circle() -> None:
    angle = np.linspace(0, 360, 60, endpoint=False)
    x = np.stack([np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)
    score = probes.ridge(x, angle, x, angle, unit="degrees", period=360)
    assert score.error < 0.01
    with pytest.raises(UserError, match="2 columns; an angle has one"):
        probes.ridge(x, x, x, x, period=360)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(10), "is 0 in all 10"),
        (np.full(10, np.nan), "10 of 10 rows are not finite"),
        (np.zeros((10, 1, 1)), r"\(N,\) or \(N, K\) is expected"),
        (np.arange(9.0), "do not fit"),
    ],
)
def test_quantities_that_cannot_be_read_are_named(bad: np.ndarray, says: str) -> None:
    x = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(UserError, match=says):
        probes.ridge(x, bad, x, np.arange(10.0))


@pytest.mark.parametrize("probe", [vf.probes.linear, vf.probes.knn, vf.probes.ridge])
def test_features_that_carry_a_gradient_are_scored_as_they_are(probe: Any) -> None:
    """They are frozen to a probe, whatever the loop that made them forgot."""
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 3
    learned = x.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(learned, y, learned, y) == probe(x, y, x, y)
    assert learned.grad is None
