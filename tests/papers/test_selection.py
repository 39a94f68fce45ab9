"""What is chosen on train before arms are judged: among what, by what, and never by the test."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sets import shorten, write_sets

from viewfinder.core.errors import UserError
from viewfinder.data.source import Source
from viewfinder.data.sources import table as sources
from viewfinder.papers import desk, desk_train
from viewfinder.papers.claims import Claim, better
from viewfinder.papers.desk import Cell, choose, experiment, run_cells
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Result, to_json
from viewfinder.papers.selection import (
    SEEDS,
    best,
    choice_table,
    learning_rates,
    product,
    queues,
    temperatures,
)

DATA = {"source": f"npz:{ROOT}/shades"}
ARM = Cell("arm", {"method": "simclr", "data": DATA}, choices=learning_rates(0.001, 0.01))
QUEUED = Cell(
    "queued",
    {"method": "moco", "data": DATA},
    choices=product(t=temperatures(0.1, 0.5), queue=queues(16, 24)),
)
GRID = [ARM, QUEUED, *desk.baselines(ARM)]


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path / "sets", {"shades": (12, 3)})
    shorten(monkeypatch, tmp_path / "sets")


def nothing(results: Any, out: Path, quick: bool) -> Result:
    """A report without figures."""
    return Result()


class Untouchable:
    """A split that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test split was asked for its {name}")

    def __len__(self) -> int:
        raise AssertionError("the test split was asked for its length")


def test_the_test_split_is_never_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Source] = []
    open_source = sources.open_source

    def guarded(*given: Any, **options: Any) -> Source:
        source = open_source(*given, **options)
        hidden: Any = {**source.splits, "test": Untouchable()}
        opened.append(replace(source, splits=hidden))
        return opened[-1]

    monkeypatch.setattr(sources, "open_source", guarded)
    _, choices = choose(GRID, tmp_path, quick=True, workers=1)
    assert len(opened) == 2 + 4
    assert [len(one["among"]) for one in choices.values()] == [2, 4]
    with pytest.raises(AssertionError, match="asked for its"):  # the guard does guard
        run_cells([replace(ARM, choices={})], tmp_path, seeds=1, quick=True, workers=1)


def test_what_is_held_out_is_a_fifth_of_train_and_no_part_of_the_rest() -> None:
    recipe = desk_train._recipe(desk.settings(ARM, SEEDS[0], quick=True))
    parted = desk_train.held_out_of_train(recipe.data, SEEDS[0])
    assert parted.test is not None and parted.test.labels is not None
    rows = [s.factors["source_row"] for s in (parted.train, parted.test)]
    assert sorted(np.concatenate(rows)) == list(range(32))
    assert np.bincount(parted.test.labels).tolist() == [2, 2, 2, 2]  # of eight a class


def test_a_source_whose_test_is_drawn_from_train_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sets" / "shades" / "test.npz").unlink()
    with pytest.raises(UserError, match="would see test images of other seeds"):
        choose([ARM], tmp_path, quick=True, workers=1)


def test_choices_are_stored_interrupted_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    whole = desk_train.train_on_part

    @functools.wraps(whole)
    def counted(settings: Any) -> dict[str, Any]:
        if len(trained) == 3 and "stop" not in done:
            done.add("stop")
            raise KeyboardInterrupt
        trained.append(settings["recipe"]["seed"])
        return whole(settings)

    done: set[str] = set()
    monkeypatch.setattr(desk_train, "train_on_part", counted)
    with pytest.raises(KeyboardInterrupt):
        choose(GRID, tmp_path, quick=True, workers=1)
    first = choose(GRID, tmp_path, quick=True, workers=1)
    assert trained == [SEEDS[0]] * 6
    assert choose(GRID, tmp_path, quick=True, workers=1) == first
    assert len(trained) == 6


def test_the_best_is_laid_into_the_recipe_and_told_on_the_page(tmp_path: Path) -> None:
    def claims(results: Any) -> list[Claim]:
        known = desk.accuracies(results)
        return [Claim("better", better(known, "arm", "queued"))]

    run, judge = experiment(
        lambda quick: GRID,
        lambda results, out, quick: Result(),
        claims,
        lambda results: [],
        first=7,
    )
    found = run(tmp_path, seeds=2, quick=True, workers=1)
    chosen = found.numbers["arm"]["choice"]["chosen"]
    assert f"lr {found.numbers['arm']['recipe']['optimizer']['lr']:g}" == chosen
    assert "choice" not in found.numbers[desk.PIXELS]
    assert found.protocol["seeds"] == "7 to 8"
    (told,) = [table for table in found.tables if "| chosen |" in table]
    assert all(word in told for word in (*ARM.choices, *QUEUED.choices, "1000"))
    stored = json.loads(to_json(asdict(found)))
    assert told in judge(stored).tables
    seeds = {s["scores"][0]["protocol"]["seed"] for s in found.numbers["arm"]["seeds"]}
    assert seeds == {7, 8}


def test_the_highest_mean_wins_and_what_stopped_cannot() -> None:
    assert best({"a": [0.5, 0.6], "b": [0.9, None], "c": [0.6, 0.6]}) == "c"
    assert best({"a": [0.5], "b": [0.5]}) == "a"
    assert best({"a": [None], "b": [None]}) == "a"
    among = {"a": [0.25, 0.5], "b": [None, 0.5]}
    told = choice_table({"arm": {"choice": {"chosen": "a", "among": among}}})
    assert "| arm | a | a: 37.5; b: stopped |" in told
    assert choice_table({"arm": {"seeds": []}}) == ""


def test_seeds_of_choices_are_not_judged_on(tmp_path: Path) -> None:
    cell = replace(ARM, choices={})
    with pytest.raises(UserError, match="choices are made with"):
        run_cells([cell], tmp_path, seeds=2, first=SEEDS[0] - 1, quick=True)
    with pytest.raises(ValueError, match="settled first"):
        run_cells([ARM], tmp_path, seeds=1)


def test_all_of_a_lower_turn_runs_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, int]] = []
    whole = desk_train.train

    @functools.wraps(whole)
    def noted(settings: Any) -> dict[str, Any]:
        recipe = settings["recipe"]
        seen.append((recipe["optimizer"]["lr"], recipe["seed"]))
        return whole(settings)

    monkeypatch.setattr(desk_train, "train", noted)
    late, early = (
        Cell(name, {"method": "simclr", "data": DATA, "optimizer": {"lr": lr}}, turn=turn)
        for name, lr, turn in (("late", 0.02, 2), ("early", 0.01, 1))
    )
    run, _ = experiment(
        lambda quick: [late, early], nothing, lambda results: [], lambda results: []
    )
    found = run(tmp_path, seeds=2, quick=True, workers=1)
    assert seen == [(0.01, 0), (0.01, 1), (0.02, 0), (0.02, 1)]
    assert list(found.numbers) == ["late", "early"]
