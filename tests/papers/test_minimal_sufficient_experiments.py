"""The experiments of RC and LBE, tiny: shape of the results, claims, recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sets import shorten, write_sets

from viewfinder.papers import desk, desk_train
from viewfinder.papers.claims import judge
from viewfinder.papers.experiment import RECIPES
from viewfinder.papers.minimal_sufficient import (
    epochs,
    factors,
    mib,
    supervised,
    table1,
    weights,
)
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.recipes.recipe import Recipe, build, complete, merge


def options_of(recipe: Recipe) -> list[dict[str, Any]]:
    """The options of each step, by name, of the first and of the second view."""
    specs = recipe.views.specs(recipe.domain)
    return [{item.step.name: item.options for item in spec.items} for spec in specs]


NOISE = np.random.default_rng(1).normal(0, 0.001, (8, 3)).tolist()  # by arm and seed
OWN = [name for name in EXPERIMENTS if name.startswith("minimal-sufficient/")]
SETS = {
    "cifar10": (14, 3),
    "imagenette96": (24, 3),
    "gtsrb35": (13, 3),
    "flowers17_96": (20, 3),
    "eurosat64": (16, 3),
    "mnist": (12, 1),
    "fashion_mnist": (12, 1),
    "omniglot_small": (26, 1),
}


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path / "sets", SETS)
    shorten(monkeypatch, tmp_path / "sets")
    monkeypatch.setattr(factors, "DATA", {**factors.DATA, "size": 16})
    monkeypatch.setattr(factors, "TOLD", {**factors.TOLD, "limit": 96, "size": 16})


@pytest.mark.parametrize("name", OWN)
def test_an_experiment_is_written_with_its_baselines(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = reproduce(name, out, seeds=1, workers=1, quick=True)
    assert result.findings
    written = json.loads((out / "results.json").read_text())
    for cell, row in written["numbers"].items():
        (only,) = row["seeds"]
        assert only["stopped"] is None, cell
        assert only["transfer"], cell
        assert str(tmp_path) not in json.dumps(only)
    assert judge_stored(name, out).findings == result.findings
    for figure in result.figures:
        assert (out / figure).read_bytes().startswith(b"\x89PNG")
    table = (out / "table.md").read_text()
    for word in ("raw pixels", "untrained encoder", *EXPERIMENTS[name].recipes):
        assert word in table


def test_factors_are_read_from_the_encoder() -> None:
    cell = next(one for one in factors.cells() if one.name == desk.PIXELS)
    (scores,) = desk_train.train(desk.settings(cell, 0, quick=True))["transfer"]
    assert [s["protocol"]["data"] for s in scores] == [f"shapes#{f}" for f in factors.FACTORS]
    assert 0 <= scores[0]["top1"] <= 1
    assert [s["unit"] for s in scores[1:]] == ["degrees", "px", "px"]
    assert all(s["r2"] <= 1 for s in scores[1:])


def test_only_the_first_view_shows_colours_and_keeps_their_hue() -> None:
    for name, (views, _) in factors.ROWS.items():
        recipe = complete(build(None, {"views": views, "method": "simclr"}), (3, 32, 32))
        first, second = options_of(recipe)
        assert (first["grey"].p, second["grey"].p) == (0.0, float(name != factors.BOTH))
        assert first["jitter"].strength[3] == second["jitter"].strength[3] == 0.0  # hue


def seeds(source: float, transfer: float, points: int = 0, noise: int = 0) -> list[dict[str, Any]]:
    """Three seeds; at points before the end the source is lower and the transfer higher."""
    found = []
    for d in NOISE[noise]:
        moments = [
            {
                "epoch": e,
                "scores": [{"top1": source + d * e - 0.1 * (points + 1 - e)}],
                "transfer": [[{"top1": transfer + d * e + 0.1 * (points + 1 - e)}]] * 2,
            }
            for e in range(1, points + 2)
        ]
        found.append(
            {
                **moments[-1],
                "top1": source + d * (points + 1),
                "points": moments[:-1],
                "epochs": [{}] * (points + 1),
                "stopped": None,
            }
        )
    return found


@pytest.mark.parametrize(("gain", "holds"), [(0.1, True), (-0.1, False)])
def test_table_1_claims(gain: float, holds: bool) -> None:
    results = {
        f"CIFAR-10: {row}": seeds(0.5, 0.5 + (gain if "+" in row else 0.0), noise=n)
        for name in table1.METHODS
        for n, row in enumerate((name, f"{name} + RC", f"{name} + LBE"))
    }
    found = judge(table1.claims(results))
    assert [f.holds for f in found] == [holds, True] * 6
    assert all(f.claim.startswith("CIFAR-10, ") for f in found)


def test_table_1_has_all_rows_for_each_source() -> None:
    names = [cell.name for cell in table1.grid()]
    rows = [
        [name.partition(": ")[2] for name in names if name.startswith(s)] for s in table1.SOURCES
    ]
    assert rows[0] == rows[1]
    assert len(set(names)) == len(names) == 2 * (9 + 2)
    results = {name: [{"name": name}] for name in names}
    assert desk.sets(results) == list(table1.SOURCES)
    assert desk.of_set(results, "Imagenette")["BYOL + RC"] == [{"name": "Imagenette: BYOL + RC"}]


def test_the_claims_over_lambda() -> None:
    bump = {0.001: 0.51, 0.01: 0.55, 0.1: 0.6, 1.0: 0.55, 10.0: 0.4}
    results = {weights.PLAIN: seeds(0.45, 0.45)}
    for kind in weights.KINDS:
        results |= {
            weights.name_of(kind, w): seeds(a, a, noise=n + 1)
            for n, (w, a) in enumerate(bump.items())
        }
    assert [f.holds for f in judge(weights.claims(results))] == [False, True] * 4


def test_the_claims_over_epochs() -> None:
    arms = list(enumerate(epochs.ROWS))
    results = {name: seeds(0.6, 0.4 + 0.1 * (n > 0), 3, noise=n) for n, name in arms}
    assert all(f.holds for f in judge(epochs.claims(results)))
    swapped = {name: seeds(0.6, 0.4 + 0.1 * (n == 0), 3, noise=n) for n, name in arms}
    found = judge(epochs.claims(swapped))
    assert [f.holds for f in found] == [True, True, False, True, False, True]


@pytest.mark.parametrize(("change", "holds"), [(0.005, True), (0.1, False)])
def test_the_claims_of_mib(change: float, holds: bool) -> None:
    results = {mib.PLAIN: seeds(0.5, 0.5, noise=0), mib.NOISY: seeds(0.5, 0.5, noise=1)}
    for n, row in enumerate((mib.IP, mib.MIB), 2):
        results[row] = seeds(0.5 + change, 0.5 + change, noise=n)
    assert [f.holds for f in judge(mib.claims(results))] == [holds] * 4


@pytest.mark.parametrize("module", [mib, supervised])
def test_weights_and_learning_rates_are_chosen_and_baselines_have_none(module: Any) -> None:
    by_name = {cell.name: cell for cell in module.cells()}
    for baseline in (desk.UNTRAINED, desk.PIXELS):
        assert not by_name.pop(baseline).choices
    for name, cell in by_name.items():
        settled = [merge(cell.recipe, one) for one in cell.choices.values()]
        assert len({json.dumps(one, sort_keys=True) for one in settled}) == len(settled) > 1
        assert {one["optimizer"]["lr"] for one in settled} == set(module.RATES), name
        parts = {word for one in settled for word in one.get("regularizers", {})} - {"noise"}
        assert parts == ({name.split()[-1].lower()} if " + " in name else set())


def test_the_claims_with_labels() -> None:
    results = {supervised.PLAIN: seeds(0.9, 0.5)}
    for n, (row, transfer) in enumerate(((supervised.RC, 0.6), (supervised.LBE, 0.4)), 1):
        results[row] = seeds(0.9, transfer, noise=n)
    assert [f.holds for f in judge(supervised.claims(results))] == [True, True, False, True]


def test_the_claims_of_factors() -> None:
    def known(value: float, noise: int = 0) -> list[dict[str, Any]]:
        values = [value + d for d in NOISE[noise]]
        return [{"stopped": None, "transfer": [[{"top1": v}, *[{"r2": v}] * 3]]} for v in values]

    results = {row: known(0.3, n) for n, row in enumerate(factors.ROWS)}
    results |= {factors.PLAIN: known(0.1, 6), desk.UNTRAINED: known(0.5, 7)}
    assert all(f.holds for f in judge(factors.claims(results)))
    results |= {row: known(0.05, n) for n, row in enumerate(factors.LBE)}
    lost = [f.claim for f in judge(factors.claims(results)) if f.holds is False]
    assert len(lost) == 2 * len(factors.LOST)
    assert all("LBE" in claim for claim in lost)


FILES = sorted((RECIPES / "minimal-sufficient").glob("*.yaml"))


def test_all_recipes_of_the_paper_are_named() -> None:
    assert {f for name in OWN for f in EXPERIMENTS[name].recipe_files()} == set(FILES)


SMALL = [file for file in FILES if not file.stem.startswith("imagenet-")]


@pytest.mark.parametrize("file", sorted({*FILES} - {*SMALL}), ids=lambda f: f.stem)
def test_a_recipe_of_imagenet_has_the_numbers_of_the_papers_code(file: Path) -> None:
    recipe = build(file=file)
    assert str(recipe.encoder) == "resnet50"
    assert (recipe.batch_size, recipe.optimizer.name, recipe.optimizer.lr) == (1024, "lars", 0.3)
    assert (recipe.optimizer.weight_decay, recipe.schedule.name) == (1e-6, "cosine")
    chosen = recipe.regularizers.chosen
    assert set(chosen) == {word for word in ("rc", "lbe") if file.stem.endswith(f"-{word}")}
    if "rc" in chosen:
        assert chosen["rc"].weight == 0.1
    if "lbe" in chosen:  # of the last stage alone
        assert (chosen["lbe"].rho, chosen["lbe"].stages) == (1 / 80, None)


@pytest.mark.parametrize("file", SMALL, ids=lambda f: f.stem)
def test_a_recipe_has_the_numbers_of_the_papers_code(file: Path) -> None:
    recipe = build(file=file)
    assert str(recipe.encoder) == "resnet18"
    assert recipe.epochs == 200
    assert recipe.evaluation.protocols[0] == "infocl"
    # Adam at 0.0003 for every batch, neither weight decay nor schedule
    assert recipe.optimizer.lr * recipe.batch_size / 256 == pytest.approx(3e-4)
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay) == ("adam", 0.0)
    assert recipe.schedule.name == "constant"
    part = recipe.regularizers
    wanted = {word for word in ("rc", "lbe", "ip", "mib") if file.stem.endswith(f"-{word}")}
    assert set(part.chosen) == wanted
    assert (part.sigma > 0) == file.stem.endswith(("-lbe", "-mib", "-noise"))
    if "lbe" in wanted:
        assert part.chosen["lbe"].rho == 0.05
        assert part.chosen["lbe"].stages == {"layer2": 0.25, "layer3": 0.5, "layer4": 1.0}
    assert recipe.encoder.options().stem == ("strided" if "stl10" in file.stem else "small")
    full = complete(recipe, (3, 96, 96) if "stl10" in file.stem else (3, 32, 32))
    for view in options_of(full):
        assert view["crop"].scale == (0.08, 1.0)
        assert view["blur"].p == 0
        assert view["grey"].p == 0.2
