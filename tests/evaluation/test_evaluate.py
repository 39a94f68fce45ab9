from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.scores import Score
from viewfinder.evaluation.probes.sgd import SGD_PROTOCOLS, sgd_row
from viewfinder.evaluation.probes.table import PROBES

Blobs = Callable[..., tuple[Tensor, Tensor]]
WORDS = {"data": "blobs", "layer": "raw"}


@pytest.fixture
def parts(blobs: Blobs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (*blobs(210, 7, 10, apart=12.0), *blobs(70, 7, 10, apart=12.0, seed=1))


@pytest.mark.parametrize("protocol", ["linear", "knn", "infocl"])
def test_separable_classes_score_one(protocol: str, parts: tuple[Tensor, ...]) -> None:
    short = sgd_row(replace(SGD_PROTOCOLS["infocl"], epochs=20))
    row = short if protocol == "infocl" else protocol
    score = evaluate_features(*parts, row, **WORDS)
    assert (score.top1, score.top5, score.n_test) == (1.0, 1.0, 70)
    assert score.per_class == {str(c): 1.0 for c in range(7)}
    assert Score.model_validate_json(score.model_dump_json()) == score


def test_the_protocol_can_be_repeated(parts: tuple[Tensor, ...]) -> None:
    common = {"protocol", "layer", "data", "split", "seed", "selection", "n_train", "dim", "notes"}
    linear = evaluate_features(*parts, "linear", seed=3, **WORDS).protocol
    assert common <= set(linear)
    assert linear["seed"] == 3
    assert linear["weight_decay"] in linear["weight_decays"]  # type: ignore[operator]
    assert any("standardised" in note for note in linear["notes"])  # type: ignore[union-attr]
    neighbours = evaluate_features(
        *parts, "knn", options={"k": 5, "temperature": 0.1}, **WORDS
    ).protocol
    assert common <= set(neighbours)
    assert (neighbours["k"], neighbours["temperature"]) == (5, 0.1)
    row = sgd_row(replace(SGD_PROTOCOLS["moco"], epochs=1))
    sgd = evaluate_features(*parts, row, **WORDS).protocol
    assert common <= set(sgd)
    assert (sgd["lr"], sgd["epochs"], sgd["momentum"], sgd["batch_size"]) == (30.0, 1, 0.9, 256)
    assert any("no augmentation" in note for note in sgd["notes"])  # type: ignore[union-attr]


def test_classes_need_not_be_consecutive(parts: tuple[Tensor, ...]) -> None:
    x, y, test_x, test_y = parts
    names = [f"class {c}" for c in range(40)]
    score = evaluate_features(x, 5 * y + 2, test_x, 5 * test_y + 2, class_names=names, **WORDS)
    assert list(score.per_class) == [f"class {5 * c + 2}" for c in range(7)]
    assert score.top1 == 1.0


def test_names_that_repeat_become_numbers(parts: tuple[Tensor, ...]) -> None:
    score = evaluate_features(*parts, "knn", class_names=["same"] * 7, **WORDS)
    assert list(score.per_class) == [str(c) for c in range(7)]


def test_a_class_without_test_images_has_no_accuracy(parts: tuple[Tensor, ...]) -> None:
    x, y, test_x, test_y = parts
    score = evaluate_features(x, y, test_x[test_y < 3], test_y[test_y < 3].numpy(), "knn", **WORDS)
    assert list(score.per_class) == ["0", "1", "2"]


def test_labels_without_meaning_give_chance(blobs: Blobs) -> None:
    x, _ = blobs(500, 5, 6, apart=1.0)
    test_x, _ = blobs(1500, 5, 6, apart=1.0, seed=1)
    y = torch.randint(0, 5, (500,), generator=torch.Generator().manual_seed(1))
    top1 = evaluate_features(x, y, test_x, torch.arange(1500) % 5, "knn", **WORDS).top1
    assert abs(top1 - 0.2) < 4 * (0.2 * 0.8 / 1500) ** 0.5


def change(**by_name: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arguments: arguments.update(by_name)


def nan(arguments: dict[str, Any]) -> None:
    arguments["test_x"] = arguments["test_x"].clone()
    arguments["test_x"][3, 2] = torch.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(train_y=None), "train part has no labels"),
        (change(test_y=None), "test part has no labels"),
        (change(train_y=torch.zeros(210, dtype=torch.long)), "at least two classes"),
        (change(train_y=torch.arange(210) % 3), r"4 classes are in test but not in train \(3, 4"),
        (change(train_y=torch.arange(210) % 7 - 1), "30 of 210 train labels are negative"),
        (change(train_y=np.arange(210) / 30), "integer class"),
        (change(train_y=torch.zeros(210, 7, dtype=torch.long)), "integer class"),
        (change(train_y=torch.arange(200) % 7), "do not fit"),
        (change(test_x=torch.empty(0, 10), test_y=torch.empty(0).long()), "test part is empty"),
        (change(class_names=["a", "b"]), "label 6 has no name"),
        (change(probe="lineer"), "Did you mean 'linear'"),
        (change(probe="knn", options={"k": 500}), "500 neighbours cannot be taken from 210"),
        (nan, r"1 of 70 images are not finite \(positions 3\)"),
    ],
)
def test_what_cannot_be_scored_is_named(
    spoil: Callable[[dict[str, Any]], None], message: str, parts: tuple[Tensor, ...]
) -> None:
    names = ("train_x", "train_y", "test_x", "test_y")
    arguments: dict[str, Any] = dict(zip(names, parts, strict=True)) | WORDS
    spoil(arguments)
    with pytest.raises(UserError, match=message):
        evaluate_features(**arguments)


def test_every_protocol_is_listed() -> None:
    assert set(PROBES) == {"linear", "knn", "moco", "simclr", "infocl", "ci-infonce"}
