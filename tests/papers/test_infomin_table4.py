"""Table 4 of InfoMin: its rows, its claims, and a run of it that is as short as can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_sets import shorten, write_sets

from viewfinder.data.sources.table import open_source
from viewfinder.papers import desk
from viewfinder.papers.claims import judge
from viewfinder.papers.desk import UNTRAINED
from viewfinder.papers.infomin import supervised, table4
from viewfinder.papers.infomin.table4 import BACKGROUND, DIGIT, FACTORS, PAPER, POSITION
from viewfinder.papers.registry import find, reproduce
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.recipes.recipe import build, complete

NOISE = np.random.default_rng(2).normal(0, 0.002, (9, 5)).tolist()


def runs(table: dict[str, tuple[float, float, float]]) -> dict[str, list[dict[str, Any]]]:
    """Five seeds of each row around the errors of a table."""
    return {
        row: [
            {
                "top1": 1 - digit / 100 + d,
                "stopped": None,
                "transfer": [[{"top1": 1 - ground / 100 + d}, {"error": place + d, "r2": 0.0}]],
            }
            for d in NOISE[n]
        ]
        for n, (row, (digit, ground, place)) in enumerate(table.items())
    }


def test_all_claims_hold_of_the_papers_own_numbers() -> None:
    found = judge(table4.claims(runs(dict(PAPER))))
    assert [one.claim for one in found if one.holds is not True] == []
    # and fail of a table where what is shared is known least
    turned = {row: (100 - d, 100 - b, 17 - p) for row, (d, b, p) in PAPER.items()}
    assert not any(one.holds for one in judge(table4.claims(runs(turned))))


def test_the_rows_differ_in_what_is_shared_alone() -> None:
    recipes = {cell.name: desk.settings(cell, 0)["recipe"] for cell in table4.cells()}
    assert list(recipes) == [*PAPER, UNTRAINED]
    shared = {row: r["views"]["split"]["frames"].pop("share") for row, r in recipes.items()}
    assert len({str(recipe) for recipe in recipes.values()}) == 1
    words = {DIGIT: DIGIT, POSITION: "pos", BACKGROUND: "bkgd"}
    for row in table4.SHARED:
        assert {words[factor] for factor in shared[row]} == set(row.split(", "))


def test_the_supervised_row_learns_all_three_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few clips, by heart."""
    split = open_source("moving-digits:past=1,later=2,train=32,test=8").train
    given = {**table4.RECIPE, "epochs": 40, "batch_size": 16, "optimizer": {"lr": 0.1}}
    given["views"] = {"steps": ["normalise"], "split": "frames"}
    recipe = complete(build(None, {**given, "accelerator": "cpu"}), split.data.shape, "clips")
    seen: list[dict[str, float]] = []
    whole = supervised._loss

    def watched(heads: Any, features: Any, goals: Any) -> Any:
        loss = whole(heads, features, goals)
        seen.append(loss.item())  # type: ignore[arg-type]
        return loss

    monkeypatch.setattr(supervised, "_loss", watched)
    state = torch.get_rng_state()
    first = supervised.train(recipe, split)
    assert torch.equal(torch.get_rng_state(), state)
    assert seen[0] == pytest.approx(2 * np.log(10) + 1, rel=0.3)  # two of ten classes, deviation 1
    assert seen[-1] < 0.7 * seen[0]
    again = supervised.train(recipe, split)
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_short_run_writes_the_table_and_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sets(tmp_path / "sets", {"mnist": (28, 1)})
    shorten(monkeypatch, tmp_path / "sets")
    monkeypatch.setattr(desk, "QUICK", {"epochs": 1})
    monkeypatch.setattr(table4, "QUICK_SOURCE", f"moving-digits:{table4.SETS},train=160,test=24")
    monkeypatch.setitem(table4.RECIPE, "batch_size", 80)  # type: ignore[arg-type]
    out = tmp_path / "out"
    result = reproduce("infomin/table4", out, seeds=2, quick=True, device="cpu", workers=1)
    assert set(result.numbers) == {*PAPER, UNTRAINED}
    known = table4.errors({name: arm["seeds"] for name, arm in result.numbers.items()})
    for factor in FACTORS:
        for row in PAPER:
            spread = known[factor][row]
            assert spread is not None and len(spread.values) == 2 and min(spread.values) >= 0
    page = (out / "table.md").read_text()
    assert "| digit, px" not in page and "position, px" in page and "16.8" in page
    assert (out / "table4.png").stat().st_size > 0
    stored = (out / "table.md").read_text()
    judge_stored("infomin/table4", out)
    assert (out / "table.md").read_text() == stored
    assert find("infomin/table4").seeds == 5
