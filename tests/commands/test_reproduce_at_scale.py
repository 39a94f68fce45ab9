"""A table at the paper's scale, with every run made tiny: order, storing, going on, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from viewfinder.commands import paper_scale as command
from viewfinder.commands.cli import app
from viewfinder.commands.paper_scale import reproduce_at_scale
from viewfinder.core.errors import InterruptedRun, UserError
from viewfinder.core.plain_yaml import read_mapping
from viewfinder.papers.paper_numbers import TOP1
from viewfinder.papers.paper_scale import moved, plan
from viewfinder.papers.registry import EXPERIMENTS, find
from viewfinder.training import fit

NAME = "minimal-sufficient/lambda"  # three recipes
RUNS = ["cifar10-simclr", "cifar10-simclr-rc", "cifar10-simclr-lbe"]
TINY = [
    "data=shapes",
    "data.limit=48",
    "data.size=16",
    "views.size=12",
    "epochs=1",
    "batch_size=16",
    "head.projector=[8,8]",
    "precision=32",
    "workers=0",
    "accelerator=cpu",
    "logger=none",
    "evaluation.baselines=false",
    "evaluation.protocols=[linear]",
]


def go(out: Path, *words: str, **more: Any) -> None:
    root = out.parent / "sets"
    root.mkdir(exist_ok=True)
    reproduce_at_scale(NAME, out, root, [*TINY, *words], **more)


def test_a_table_is_trained_in_order_interrupted_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    whole = fit.fit

    def once_interrupted(recipe: Any, split: Any, run: Any, *more: Any, **named: Any) -> Any:
        started.append(run.folder.name)
        if started == RUNS[:2]:
            raise KeyboardInterrupt
        return whole(recipe, split, run, *more, **named)

    monkeypatch.setattr(fit, "fit", once_interrupted)
    with pytest.raises(InterruptedRun, match="the same command again"):
        go(tmp_path / "runs")
    assert (tmp_path / "runs" / RUNS[1] / "recipe.yaml").exists()  # begun, so it is resumed
    first = (tmp_path / "runs" / RUNS[0] / "results.json").read_bytes()
    go(tmp_path / "runs")
    assert started == [*RUNS[:2], *RUNS[1:]]
    assert (tmp_path / "runs" / RUNS[0] / "results.json").read_bytes() == first
    text = (tmp_path / "runs" / "table.md").read_text()
    for run in RUNS:
        scores = json.loads((tmp_path / "runs" / run / "results.json").read_text())
        top1 = next(s["top1"] for s in scores if s["features"] == "trained")
        paper = TOP1[f"minimal-sufficient/{run}"]
        line = f"| minimal-sufficient/{run} | {100 * top1:.2f} (linear) | {100 * top1:.2f} | "
        assert f"{line}{paper:.2f} | finished |" in text
    go(tmp_path / "runs")
    assert len(started) == 4  # nothing was left


def test_a_run_that_was_begun_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / RUNS[0]).mkdir(parents=True)
    (tmp_path / "runs" / RUNS[0] / "recipe.yaml").write_text("method: simclr\n")
    seen: list[Path] = []
    monkeypatch.setattr(command, "resume", seen.append)
    monkeypatch.setattr(command, "pretrain", lambda recipe, out: None)
    go(tmp_path / "runs")
    assert seen == [tmp_path / "runs" / RUNS[0]]


def test_a_run_without_its_data_is_told_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def only_the_last(recipe: Any, out: Path) -> None:
        if out.name != RUNS[-1]:
            raise UserError("there are no such images")
        made.append(out.name)

    monkeypatch.setattr(command, "pretrain", only_the_last)
    go(tmp_path / "runs")
    assert made == RUNS[-1:]
    assert (tmp_path / "runs" / "table.md").read_text().count(
        "not run: there are no such images"
    ) == 2
    with pytest.raises(UserError, match="nonsense"):
        go(tmp_path / "other", "nonsense=1")
    assert not (tmp_path / "other" / "table.md").exists()


def test_the_list_shows_the_runs_in_order_and_trains_nothing(tmp_path: Path) -> None:
    words = ["reproduce", "ci-infonce/table1", "--scale", "paper", "--list"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "x")])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if "/18 " in line]
    recipes = EXPERIMENTS["ci-infonce/table1"].recipes
    assert [line.split()[1].rstrip(":") for line in lines] == list(recipes)
    assert "missing, the paper: 84.60" in lines[0]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["reproduce", "--scale", "paper"],
        ["reproduce", "carl/table1", "--scale", "huge"],
        ["reproduce", "carl/table1", "--scale", "paper", "--quick"],
        ["reproduce", "carl/table1", "--list"],
        ["reproduce", "carl/table1", "epochs=1"],
        ["reproduce", "vince/fig1", "--scale", "paper"],
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UserError)


@pytest.mark.parametrize("name", [e.name for e in EXPERIMENTS.values() if e.recipes])
def test_every_place_of_data_follows_the_root(name: str) -> None:
    for run in plan(find(name), Path("out")):
        recipe = read_mapping(run.file)
        text = json.dumps(moved(recipe, Path("/somewhere/else")))
        assert "/somewhere/else" in text
        for part in ("source", "root", "file"):
            old = recipe["data"].get(part) or recipe.get("positives", {}).get(part) or ""
            assert ("data" not in old.replace("data/", "/data/").split("/")) or f'"{part}"' in text
    folders = [run.folder for run in plan(find(name), Path("out"))]
    assert len({*folders}) == len(folders)
