"""What the redone experiments add: their arms, their seeds, and what they measure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from viewfinder.data.source import Source, Split
from viewfinder.data.stored import ArrayData
from viewfinder.information.discrete import information
from viewfinder.papers import desk
from viewfinder.papers.carl import equal_heads
from viewfinder.papers.carl.usage import EffectivePrototypes
from viewfinder.papers.ci_infonce import longer, noisy
from viewfinder.papers.claims import judge
from viewfinder.papers.desk import Cell
from viewfinder.papers.desk_train import Scaled
from viewfinder.papers.image_statistics import STATISTICS, with_statistics
from viewfinder.papers.minimal_sufficient import second_view
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.recipes.recipe import merge

MODULES = {
    "minimal-sufficient/second-view": second_view,
    "ci-infonce/longer": longer,
    "carl/equal-heads": equal_heads,
}
NOISE = np.random.default_rng(1).normal(0, 0.001, (30, 5)).tolist()  # by arm and seed


def settled(cell: Cell) -> list[dict[str, Any]]:
    """The recipes that a cell may have, over what all share."""
    candidates = cell.choices.values() or ({},)
    return [merge(desk.COMMON, cell.recipe, one) for one in candidates]


@pytest.mark.parametrize("name", MODULES)
def test_five_fresh_seeds_and_a_learning_rate_for_every_arm(name: str) -> None:
    assert EXPERIMENTS[name].seeds == 5
    assert EXPERIMENTS[name].minutes <= 90
    for cell in MODULES[name].cells():
        trained = cell.features == "trained"
        rates = {one["optimizer"]["lr"] for one in settled(cell)}
        assert len(rates) > 1 if trained else not cell.choices, cell.name


@pytest.mark.parametrize("name", MODULES)
def test_the_seeds_are_fresh(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[range] = []

    def stop(cells: Any, out: Path, *, seeds: int, first: int, **more: Any) -> None:
        asked.append(range(first, first + seeds))
        raise KeyboardInterrupt

    monkeypatch.setattr(desk, "check", lambda cells: None)
    monkeypatch.setattr(desk, "choose", lambda cells, out, **more: (cells, {}))
    monkeypatch.setattr(desk, "run_cells", stop)
    with pytest.raises(KeyboardInterrupt):
        reproduce(name, tmp_path, device="cpu")
    assert asked == [range(3, 8)]  # 0 to 2 are those of the earlier pages


def test_all_of_carls_rivals_have_its_head() -> None:
    trained = [cell for cell in equal_heads.cells() if cell.features == "trained"]
    assert {tuple(cell.recipe["head"]["projector"]) for cell in trained} == {(512, 512, 128)}
    assert {cell.recipe["data"]["limit"] for cell in equal_heads.cells()} == {8000}


def test_predicting_clusters_sees_as_many_views_as_contrasting_them() -> None:
    for cell in longer.cells():
        recipe = desk.settings(cell, 3)["recipe"]
        assert recipe["views"]["count"] == 2, cell.name


def test_the_arms_of_the_second_view_have_the_papers_values() -> None:
    names = {cell.name: desk.settings(cell, 3)["recipe"] for cell in second_view.cells()}
    for kind in second_view.VIEWS:
        for row, regularizers in second_view.ROWS.items():
            recipe = names[f"{kind}: {row}"]
            assert recipe["objective"]["temperature"] == 0.5
            second = recipe["views"].get("second") or {}
            assert (second.get("grey_p") == 1.0) == (kind == second_view.GREY)
            if "lbe" in regularizers:
                assert (regularizers["lbe"]["weight"], regularizers["lbe"]["rho"]) == (1.0, 0.2)


def arms(values: dict[str, float], wrap: Any) -> dict[str, Any]:
    """Five seeds of each arm around its value."""
    return {
        name: [wrap(value + d) for d in NOISE[n]] for n, (name, value) in enumerate(values.items())
    }


@pytest.mark.parametrize(("gain", "holds"), [(0.1, True), (-0.1, False)])
def test_the_claims_of_the_second_view(gain: float, holds: bool) -> None:
    def run(value: float) -> dict[str, Any]:
        sets = [[{"top1": value}] * len(second_view.PROBES)] * len(second_view.shared.TRANSFER)
        return {"stopped": None, "transfer": [*sets, [{"r2": value}] * len(STATISTICS)]}

    gains = dict.fromkeys((second_view.LBE, second_view.MORE_RC), gain)
    values = {
        f"{kind}: {row}": 0.5 + gains.get(row, 0.0)
        for kind in second_view.VIEWS
        for row in second_view.ROWS
    }
    found = judge(second_view.claims(arms(values, run)))
    assert len(found) == 14
    assert all(f.holds is holds for f in found)


def test_the_claims_of_longer_training_and_of_equal_heads() -> None:
    def run(value: float) -> dict[str, Any]:
        return {"top1": value, "stopped": None, "information": None}

    level = {x: longer.name_of(longer.BY_CONTRAST, x) for x in longer.LEVELS}
    known = {longer.INSTANCES: 0.1, longer.CI_Z: 0.3, longer.CE_Z: 0.2}
    known |= {name: 0.2 + 0.05 * x for x, name in level.items()}
    known |= {longer.name_of(longer.BY_PREDICTION, x): 0.1 + 0.05 * x for x in level}
    assert all(f.holds for f in judge(longer.claims(arms(known, run))))
    schedules = dict(zip(equal_heads.SCHEDULES, (0.6, 0.6, 0.5, 0.4), strict=True))
    known = {equal_heads.CARL: 0.6, equal_heads.MOCO: 0.5, equal_heads.BYOL: 0.6}
    known |= {equal_heads.SIMCLR: 0.6, **schedules}
    assert all(f.holds for f in judge(equal_heads.claims(arms(known, run))))


def test_statistics_of_images_are_those_of_their_pixels() -> None:
    x = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    x[0, 0] = 255  # all red
    x[1, :, :, :2] = 51  # a fifth of white on the left
    source = Source("x", {"train": Split("train", ArrayData(x))})
    found = with_statistics(source).train.factors
    assert found["red"].tolist() == [1.0, pytest.approx(0.1)]
    assert found["blue"].tolist() == [0.0, pytest.approx(0.1)]
    assert found["left_right"].tolist() == [0.0, pytest.approx(0.2)]


def test_scaled_features_differ_by_a_factor() -> None:
    x = torch.randn(4, 3)
    torch.testing.assert_close(Scaled(nn.Identity(), 2.5)(x), 2.5 * x)


def test_noisy_attributes_have_the_entropy_of_their_flips_and_are_no_label_bits() -> None:
    labels = np.repeat(np.arange(8), 4000)
    pixels = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    source = Source("x", {"train": Split("train", ArrayData(pixels), labels)})
    first, again, other = (noisy.noisy_attributes(source, seed).train for seed in (0, 0, 1))
    assert first.attributes is not None and again.attributes is not None
    assert other.attributes is not None
    values = first.attributes.values
    assert np.array_equal(values, again.attributes.values)
    p = noisy.FLIPPED
    flips = (values != other.attributes.values).mean()  # the code is the same, the flips are not
    assert flips == pytest.approx(2 * p * (1 - p), abs=0.01)
    z = values @ (1 << np.arange(noisy.COLUMNS))
    entropy = -(p * math.log2(p) + (1 - p) * math.log2(1 - p))
    found = information(z, labels, unit="bits").h_z_given_t
    assert found == pytest.approx(noisy.COLUMNS * entropy, abs=0.05)


def test_prototypes_in_use_are_counted_over_an_epoch() -> None:
    class Trainer:
        num_training_batches = 2

    counter: Any = EffectivePrototypes(None, None)  # type: ignore[arg-type]
    for _ in range(2):
        counter.on_train_epoch_start(Trainer(), None)
        for step, won in enumerate(([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])):
            outputs = {"terms": {"usage": torch.tensor(won)}}
            counter.on_train_batch_end(Trainer(), None, outputs, None, step)
    assert counter.rows == [2.0, 2.0]
