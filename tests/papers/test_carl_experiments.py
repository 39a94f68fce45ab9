"""The experiments of CARL, tiny: shape of the results, claims, recipes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sets import shorten, write_sets

from viewfinder.papers import desk, desk_train
from viewfinder.papers.carl import fig2, fig3, table1
from viewfinder.papers.carl import shared as carl
from viewfinder.papers.claims import judge
from viewfinder.papers.experiment import RECIPES
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import build, merge

NOISE = np.random.default_rng(1).normal(0, 0.001, (8, 3)).tolist()  # by arm and seed
OWN = [name for name in EXPERIMENTS if name.startswith("carl/")]


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path / "sets", {"cifar10": (14, 3), "imagenette96": (20, 3)})
    shorten(monkeypatch, tmp_path / "sets")


@pytest.mark.parametrize("name", OWN)
def test_an_experiment_is_written_with_its_baselines(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = reproduce(name, out, seeds=1, workers=1, quick=True)
    assert result.findings
    written = json.loads((out / "results.json").read_text())
    for cell, row in written["numbers"].items():
        (only,) = row["seeds"]
        if only["stopped"] is None:
            assert 0 <= only["top1"] <= 1, cell
        assert str(tmp_path) not in json.dumps(only)
    assert judge_stored(name, out).findings == result.findings
    assert (out / "results.json").read_text() == json.dumps(written, indent=1) + "\n"
    for figure in result.figures:
        assert (out / figure).read_bytes().startswith(b"\x89PNG")
    table = (out / "table.md").read_text()
    for word in ("raw pixels", "untrained encoder", *EXPERIMENTS[name].recipes):
        assert word in table


def test_probing_on_the_way_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "QUICK", {**desk.QUICK, "epochs": 2})
    plain = carl.cell("x", "simclr", carl.CIFAR)
    probed = carl.cell("x", "simclr", carl.CIFAR, points=(0.5,))
    both = [desk_train.train(desk.settings(one, 0, quick=True)) for one in (plain, probed)]
    assert [run["top1"] for run in both] == [both[0]["top1"]] * 2
    assert both[0]["epochs"] == both[1]["epochs"]
    assert both[0]["points"] == []
    ((middle),) = both[1]["points"]
    assert middle["epoch"] == 1
    assert list(carl.course([both[1]])) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("points", "epochs", "expected"),
    [((0.25, 0.5, 0.75), 20, [5, 10, 15]), ((0.25, 0.5, 0.75), 3, [1, 2]), ((0.1,), 1, [])],
)
def test_points_are_fractions_of_the_epochs(
    points: tuple[float, ...], epochs: int, expected: list[int]
) -> None:
    assert desk_train.epochs_of(points, epochs) == expected


def test_a_run_is_known_by_its_whole_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = carl.cell("x", "carl", carl.CIFAR)
    before = desk.settings(cell, 0)
    assert desk.settings(cell, 0) == before
    row = METHODS["carl"]
    other = merge(row.settings, {"objective": {"prototypes": 7}})
    monkeypatch.setitem(METHODS._rows, "carl", replace(row, settings=other))
    assert desk.settings(cell, 0) != before
    assert build(None, json.loads(json.dumps(before["recipe"]))).plain() == before["recipe"]


def test_the_protocol_says_what_the_grid_is() -> None:
    grid = [
        carl.cell("a", "carl", carl.CIFAR, epochs=3),
        carl.cell("b", "carl", {**carl.IMAGENETTE, "limit": None}, epochs=5),
        carl.cell("c", "simclr", carl.CIFAR, features="untrained", epochs=9),
    ]
    told = desk.protocol(grid, 3, "cpu", False)
    assert told["images of train"] == "4000 of cifar10, all of imagenette96"
    assert told["epochs"] == "3 or 5"


def runs(accuracy: float, noise: int = 0, epochs: int = 4, **more: Any) -> list[dict[str, Any]]:
    """Three seeds near an accuracy that is approached from a tenth below."""
    return [
        {
            "top1": accuracy + d,
            "stopped": None,
            "epochs": [{}] * epochs,
            "points": [
                {"epoch": e, "scores": [{"top1": accuracy + d - 0.1 * (epochs - e)}]}
                for e in range(1, epochs)
            ],
            **more,
        }
        for d in NOISE[noise]
    ]


@pytest.mark.parametrize(
    ("own", "verdicts"), [(0.6, [True, True]), (0.45, [True, False]), (0.3, [False, False])]
)
def test_table_1_claims(own: float, verdicts: list[bool]) -> None:
    t = table1
    order = {t.CARL: (own, 0), t.MOCO: (0.4, 1), t.BYOL: (0.5, 2), t.SIMCLR: (0.5, 3)}
    found = judge(t.claims({f"x: {name}": runs(*value) for name, value in order.items()}))
    assert [f.holds for f in found] == verdicts


def test_figure_2_claims() -> None:
    f = fig2
    stopped = [{**r, "top1": None, "stopped": "collapse"} for r in runs(0.1, 0) * 3]
    results = {f.LINEAR: runs(0.5, 1), f.CONSTANT: runs(0.4, 2), f.LESS: runs(0.45, 3)}
    found = judge(f.claims({**results, f.ABSENT: stopped}))
    assert [one.holds for one in found] == [True, True, True]
    results = {f.LINEAR: runs(0.4, 1), f.CONSTANT: runs(0.5, 2), f.LESS: runs(0.4, 3)}
    found = judge(f.claims({**results, f.ABSENT: runs(0.3, 0) * 3}))
    assert [one.holds for one in found] == [False, None, False]


def test_figure_3_claims() -> None:
    def of(values: dict[int, float]) -> list[bool | None]:
        results = {fig3.name_of(k): runs(a, i) for i, (k, a) in enumerate(values.items())}
        return [one.holds for one in judge(fig3.claims(results))]

    assert of({10: 0.3, 100: 0.5, 1000: 0.4}) == [True, True]
    assert of({10: 0.3, 100: 0.4, 1000: 0.5}) == [False, False]


FILES = sorted((RECIPES / "carl").glob("*.yaml"))


def test_all_recipes_of_the_paper_are_named() -> None:
    assert {f for name in OWN for f in EXPERIMENTS[name].recipe_files()} == set(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_recipe_has_the_numbers_of_the_paper(file: Path) -> None:
    recipe = build(file=file)
    assert (
        build(None, json.loads(recipe.model_dump_json(exclude_none=True))).method == recipe.method
    )
    assert str(recipe.encoder) == "resnet18"
    hidden = 1 if recipe.method == "moco" else 2
    assert len(recipe.head.projector) == hidden + 1
    assert recipe.head.projector[-1] == 128
    assert recipe.optimizer.lr * recipe.batch_size / 256 == 0.03
    assert (recipe.optimizer.name, recipe.schedule.name) == ("sgd", "cosine")
    assert recipe.views.preset == "simclr"
    data, word = file.stem.split("-")
    assert recipe.data.source == data
    assert recipe.evaluation.protocols[0] == "moco"
    if recipe.method == "carl":
        options = recipe.objective.options().model_dump()
        ends = (2.0, 1.0) if "stl10" in file.stem else (4.0, 1.5)
        ends = {"constant": (ends[0], None), "small": (ends[1], None)}.get(word, ends)
        assert (options["weight"], options["final_weight"]) == ends
        assert options["decay_epochs"] == (None if ends[1] is None else 100)
        assert options["prototypes"] == (1000 if "cifar100" in file.stem else 100)
