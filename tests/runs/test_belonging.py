"""A checkpoint is of one run, one training and one epoch, and nobody reads it as another's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from viewfinder.commands import pretrain as training
from viewfinder.core.errors import UserError
from viewfinder.recipes.recipe import Recipe, build, merge
from viewfinder.runs.belonging import belonging
from viewfinder.runs.checkpoint import (
    STATE,
    WEIGHTS,
    about_weights,
    load_state,
    load_weights,
    save,
    write_digests,
)
from viewfinder.runs.own_data import sign
from viewfinder.runs.run import Run, load_encoder
from viewfinder.training.restore import restored

TINY = {
    "data": {"source": "digits", "limit": 60},
    "epochs": 2,
    "batch_size": 16,
    "logger": "none",
    "accelerator": "cpu",
    "encoder": {"widths": [4]},
    "head": {"projector": [4]},
    "views": {"size": 8},
    "evaluation": {"baselines": False, "protocols": ["knn"]},
}


def recipe(method: str = "simclr", **changes: Any) -> Recipe:
    return build(method, merge(TINY, changes))


def unfinished(run: Run) -> None:
    text = run.recipe_file.read_text()
    run.recipe_file.write_text(text.replace("epochs: 2\n", "epochs: 3\n"))
    sign(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    unfinished(training.pretrain(recipe(), folder))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(whole, tmp_path / "run"))


READERS: list[Callable[[Run], Any]] = [
    load_encoder,
    restored,
    lambda run: training.resume(run.folder),
]
readers = pytest.mark.parametrize("read", READERS, ids=["load", "restored", "resume"])


@readers
def test_weights_of_another_run_are_refused_by_name(
    read: Callable[[Run], Any], run: Run, tmp_path: Path
) -> None:
    other = training.pretrain(recipe(seed=1), tmp_path / "other")
    last = run.checkpoints / "epoch-00002"
    shutil.copy(other.checkpoints / last.name / WEIGHTS, last / WEIGHTS)
    write_digests(last)
    with pytest.raises(UserError, match=rf"{last / WEIGHTS} is of another run.*own checkpoint"):
        read(run)


@readers
def test_an_older_checkpoint_under_a_newer_name_is_refused(
    read: Callable[[Run], Any], run: Run
) -> None:
    last = run.checkpoints / "epoch-00002"
    shutil.rmtree(last)
    shutil.copytree(run.checkpoints / "epoch-00001", last)
    with pytest.raises(UserError, match=rf"{last / WEIGHTS} was written after epoch '1'.*says 2"):
        read(run)


@readers
def test_the_baselines_weights_are_not_the_runs(read: Callable[[Run], Any], run: Run) -> None:
    last = run.checkpoints / "epoch-00002"
    about = {**belonging(run.recipe(), "supervised baseline"), "epochs": "2"}
    save_file(load_file(last / WEIGHTS), last / WEIGHTS, {"about": json.dumps(about)})
    write_digests(last)
    with pytest.raises(UserError, match=r"weights\.safetensors is of a 'supervised baseline'"):
        read(run)


def test_a_state_of_another_epoch_is_refused(run: Run) -> None:
    last = run.checkpoints / "epoch-00002"
    shutil.copy(run.checkpoints / "epoch-00001" / STATE, last / STATE)
    write_digests(last)
    with pytest.raises(UserError, match=r"state\.safetensors and weights.* not of the same run"):
        training.resume(run.folder)


@readers
@pytest.mark.parametrize(
    "lost", [["run"], ["role"], ["epochs"], ["run", "role", "epochs"]], ids=str
)
def test_weights_that_have_lost_what_they_said_of_themselves_are_refused(
    lost: list[str], read: Callable[[Run], Any], run: Run
) -> None:
    last = run.checkpoints / "epoch-00002"
    about = {key: text for key, text in about_weights(last).items() if key not in lost}
    save_file(load_file(last / WEIGHTS), last / WEIGHTS, {"about": json.dumps(about)})
    write_digests(last)
    told = ", ".join(sorted(lost))
    with pytest.raises(UserError, match=rf"{last / WEIGHTS} has lost .* its {told}: .*before it"):
        read(run)


def test_weights_that_never_said_what_they_are_of_are_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    last = run.checkpoints / "epoch-00002"
    state = {key: value for key, value in load_state(last).items() if key != "about"}
    save(last, load_weights(last), state)
    load_encoder(run)
    assert f"note: {last / WEIGHTS} does not say" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"source": "npz:/elsewhere", "root": "/other", "labels": "/labels.csv"}},
        {"epochs": 9, "accelerator": "auto", "devices": 2, "workers": 3, "logger": "none"},
        {"checkpoint_every": 5, "evaluation": {"baselines": True}},
    ],
    ids=["moved", "elsewhere", "scored"],
)
def test_a_run_that_moved_or_goes_on_is_the_same(changes: dict[str, Any]) -> None:
    assert belonging(recipe(**changes), "run") == belonging(recipe(), "run")


@pytest.mark.parametrize(
    "other",
    [
        recipe(seed=1),
        recipe("byol"),
        recipe(objective={"temperature": 0.3}),
        recipe(encoder={"widths": [8]}),
        recipe(head={"projector": [8]}),
    ],
    ids=["seed", "method", "objective", "encoder", "head"],
)
def test_what_made_the_weights_tells_runs_apart(other: Recipe) -> None:
    assert belonging(other, "run")["run"] != belonging(recipe(), "run")["run"]


def test_what_is_read_is_the_same_recipe(run: Run) -> None:
    stored = run.recipe()
    assert belonging(build(None, stored.plain()), "run") == belonging(stored, "run")
    load_encoder(run)
    training.resume(run.folder)
    assert (run.checkpoints / "epoch-00003" / WEIGHTS).is_file()
