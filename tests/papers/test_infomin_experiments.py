"""The experiments of InfoMin, tiny: shape of the results, claims, and that each can be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_sets
from tiny_sets import shorten, write_sets

from viewfinder.papers import desk
from viewfinder.papers.claims import judge
from viewfinder.papers.infomin import fig3, fig4, fig5, fig9, fig12, fig13_14, table1
from viewfinder.papers.infomin.figure import Figure
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.papers.result import PIXELS, Finding
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, complete, merge

APART = ("infomin/table4", "infomin/learned-views")
"""Those whose arms measure no information of the views, with tests of their own."""
OWN = [name for name in EXPERIMENTS if name.startswith("infomin/") and name not in APART]
FIGURES = {
    module.__name__.rpartition(".")[2]: module.FIGURE
    for module in (fig3, fig4, fig5, fig9, fig12, fig13_14)
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_sets, "EACH", 40)  # a bound needs 64 held-out pairs
    write_sets(tmp_path / "sets", {"cifar10": (14, 3), "imagenette96": (24, 3)})
    write_sets(tmp_path / "sets", {"camvid_half": (178, 3)})
    shorten(monkeypatch, tmp_path / "sets")


@pytest.mark.parametrize("name", OWN)
def test_its_quick_form_runs_is_stored_and_can_be_judged_again(
    name: str, tiny: None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = reproduce(name, out, seeds=1, workers=1, quick=True)
    assert result.findings
    written = json.loads((out / "results.json").read_text())
    for arm, row in written["numbers"].items():
        (only,) = row["seeds"]
        assert only["stopped"] is None, arm
        assert 0 <= only["top1"] <= 1
        baseline = arm.endswith((PIXELS, desk.UNTRAINED))
        assert ("shared" in only) != baseline, arm
        assert str(tmp_path) not in json.dumps(only)
    values = {row["seeds"][0]["shared"]["protocol"]["k"] for row in written["numbers"].values()
              if "shared" in row["seeds"][0]}  # fmt: skip
    by_set = 2 if name == "infomin/fig4" else 1
    assert len(values) <= by_set  # equal critics: one K
    for figure in result.figures:
        assert (out / figure).read_bytes().startswith(b"\x89PNG")
    assert judge_stored(name, out).findings == result.findings


@pytest.mark.parametrize("name", FIGURES)
def test_every_level_is_a_recipe_that_fits_its_data(name: str) -> None:
    figure = FIGURES[name]
    shape = (3, 180, 240) if name == "fig3" else (3, 32, 32)
    for quick in (False, True):
        cells = figure.cells(quick)
        assert len({cell.name for cell in cells}) == len(cells)
        for cell in cells:
            recipe = build(None, merge(desk.COMMON, cell.recipe))
            check_parts(recipe)
            complete(recipe, shape).view_maker()
    assert {cell.name for cell in figure.cells(True)} <= {c.name for c in figure.cells(False)}


def planted(
    figure: Figure, top1: Any, nats: Any, seeds: int = 5
) -> dict[str, list[dict[str, Any]]]:
    """Results in which accuracy and information are these functions of a level."""
    rng = np.random.default_rng(0)
    found = {}
    for level in figure.levels:
        runs = []
        for e in rng.normal(0, 0.003, (seeds, 2)):
            a = float(top1(level) + e[0])
            runs.append(
                {
                    "top1": a,
                    "stopped": None,
                    "transfer": [[{"top1": a}] for _ in figure.transfer],
                    "shared": {"value": float(nats(level) + e[1])},
                }
            )
        found[level.name] = runs
    return found


def verdicts(figure: Figure, results: Any) -> dict[str, Finding]:
    claims = figure.claims(figure.found(results))
    return {claim.text: one for claim, one in zip(claims, judge(claims), strict=True)}


@pytest.mark.parametrize("name", ["fig3", "fig5", "fig9", "fig13_14"])
def test_a_reverse_u_is_found_where_it_is_and_not_where_accuracy_rises(name: str) -> None:
    figure = FIGURES[name]
    count = {c: sum(one.curve == c for one in figure.levels) for c in figure.curve_names}
    place = {one.name: i % count[one.curve] for i, one in enumerate(figure.levels)}

    def bump(level: Any) -> float:
        """A peak at the level before the last but one, seen from both sides."""
        return 0.5 - 0.05 * abs(place[level.name] - (count[level.curve] - 3))

    def rise(level: Any) -> float:
        return 0.3 + 0.05 * place[level.name]

    with_peak = verdicts(figure, planted(figure, bump, lambda one: 3 - 0.3 * place[one.name]))
    without = verdicts(figure, planted(figure, rise, lambda one: 3 - 0.3 * place[one.name]))
    of_accuracy = [t for t in with_peak if ("accuracy" in t and ("reverse U" in t or "drops" in t))]
    assert of_accuracy
    for text in of_accuracy:
        assert with_peak[text].holds is True, (text, with_peak[text])
        assert without[text].holds is False or "drops" in text, (text, without[text])


@pytest.mark.parametrize("sign", [1, -1])
def test_less_shared_and_more_accuracy_is_found_of_colour_spaces(sign: int) -> None:
    results = planted(
        fig4.FIGURE, lambda one: 0.4 + 0.02 * sign * one.at, lambda one: 3 - 0.2 * one.at
    )
    found = verdicts(fig4.FIGURE, results)
    texts = [text for text in found if "as I_NCE decreases" in text]
    assert len(texts) == 2
    assert [found[text].holds for text in texts] == [sign == 1] * 2


def test_table_1_claims_the_two_orders() -> None:
    best = {"InstDis": 0.3, "CMC": 0.4, "SimCLR": 0.35, "InfoMin": 0.45}
    noise = np.random.default_rng(0).normal(0, 0.002, (4, 4))
    results = {
        name: [{"top1": top1 + e, "stopped": None} for e in own]
        for (name, top1), own in zip(best.items(), noise, strict=True)
    }
    assert [one.holds for one in judge(table1.claims(results))] == [True, True]
    names = list(table1.ROWS)
    assert {table1.cells(False)[i].name for i in range(4)} == set(names)
