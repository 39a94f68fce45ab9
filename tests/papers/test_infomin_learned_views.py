"""InfoMin's learned views at desk scale: the arms, what is trained for them, and the claim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_sets import shorten, write_sets

from viewfinder.papers import desk
from viewfinder.papers.claims import judge
from viewfinder.papers.desk import GENERATOR
from viewfinder.papers.infomin import learned_views
from viewfinder.papers.infomin.learned_views import cells, claims, information, name_of, tables
from viewfinder.papers.registry import EXPERIMENTS, reproduce
from viewfinder.recipes.view_learning import build_view_learning

NAME = "infomin/learned-views"


def test_arms_differ_in_nothing_but_their_views() -> None:
    made = {c.name: c for c in cells() if c.features == "trained" and "wider" not in c.name}
    recipes = [{**c.recipe, "views": None} for c in made.values()]
    assert all(recipe == recipes[0] for recipe in recipes)
    for name, cell in made.items():
        raw = "raw views" in name
        last = cell.recipe["views"]["steps"][-1]
        assert (last == {"learned": GENERATOR}) != raw
        assert bool(cell.learned) != raw
        if not raw:
            own = build_view_learning(None, desk.settings(cell, 7)["learned"])
            assert own.method in name and own.seed == 7
            assert own.generator.space == ("rgb" if name.startswith("RGB") else "ydbdr")
            assert own.size == desk.COMMON["views"]["size"]
            assert own.encoder.options().widths == [16, 32, 64, 128]
            generator, networks = own.learning_rates
            assert (generator > networks) == (own.method == "unsupervised")
    assert EXPERIMENTS[NAME].minutes <= 30 and EXPERIMENTS[NAME].seeds == 5


def runs(base: float, stopped: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "top1": None if stopped else base + 0.001 * seed * (1 + base),
            "stopped": "collapsed" if stopped else None,
            "epochs": [{"loss": 4.0 - base}],
        }
        for seed in range(5)
    ]


def test_one_claim_is_judged_and_no_other_is_made() -> None:
    results = {c.name: runs(0.3) for c in cells()}
    semi, supervised = name_of("rgb", "semi-supervised"), name_of("rgb", "supervised")
    for base, holds in ((0.4, True), (0.2, False)):
        (finding,) = judge(claims({**results, semi: runs(base)}))
        assert finding.holds is holds
    (finding,) = judge(claims({**results, supervised: runs(0.3, stopped=True)}))
    assert finding.holds is None and "no number" in finding.no_verdict
    five, rest = tables({**results, supervised: runs(0.3, stopped=True)})
    assert "86.0 ± 0.6" in five and "87.0 ± 0.3" in five
    assert "RGB: supervised | - | - | -" in rest
    assert information(runs(0.3)) == pytest.approx(4.852 - 3.7, abs=1e-3)  # log 128


def test_the_quick_form_trains_each_generator_once_and_judges_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sets(tmp_path / "sets", {"cifar10": (16, 3)})
    shorten(monkeypatch, tmp_path / "sets")
    result = reproduce(NAME, tmp_path / "out", seeds=1, quick=True, device="cpu", workers=1)
    assert [f.claim for f in result.findings] == [
        "from RGB, semi-supervised views are better than supervised ones"
    ]
    assert (tmp_path / "out" / "learned-views.png").stat().st_size > 5_000
    stored = [json.loads(f.read_text()) for f in (tmp_path / "out" / "runs").glob("*.json")]
    assert len(stored) == len(cells(True))
    learned = [one["result"]["learned"] for one in stored if "learned" in one["settings"]]
    assert len(learned) == 3 and all(len(rows) == 1 and "i_nce" in rows[0] for rows in learned)
    monkeypatch.setattr(learned_views.desk, "choose", None)
    again = learned_views.judge(json.loads((tmp_path / "out" / "results.json").read_text()))
    assert again.tables == result.tables
