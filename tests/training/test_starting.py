"""A run that begins with the weights of another."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import viewfinder as vf
from viewfinder.commands.main import main
from viewfinder.commands.pretrain import pretrain, resume
from viewfinder.commands.words import base_of, recipe_of
from viewfinder.core.errors import UserError
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe
from viewfinder.report.gather import gather
from viewfinder.runs.checkpoint import load_weights
from viewfinder.runs.opening import with_data
from viewfinder.runs.origin import Origin, keep_origin, origin_of
from viewfinder.runs.run import Run
from viewfinder.training.fit import network
from viewfinder.training.module import Pretraining
from viewfinder.training.starting import begin

SMALL = ["data=digits", "data.limit=120", "epochs=1", "batch_size=16", "encoder.widths=[4,8]"]
SMALL += ["logger=none", "accelerator=cpu", "evaluation.protocols=[knn]"]
SMALL += ["evaluation.baselines=false"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        return pretrain(recipe_of(["simclr", *SMALL]), tmp_path_factory.mktemp("start") / "run")


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)


def made(recipe: Recipe) -> Pretraining:
    """The untrained network of a recipe that is not complete yet."""
    recipe, source = with_data(recipe)
    return network(recipe, source.train)


def last(run: Run) -> dict[str, torch.Tensor]:
    path = run.last_checkpoint()
    assert path is not None
    return load_weights(path)


def test_without_a_step_the_features_are_those_of_the_other_run(
    trained: Run, tmp_path: Path
) -> None:
    """So small a learning rate leaves the weights; only the statistics of batch norm move."""
    run = vf.pretrain(start=trained, optimizer={"lr": 1e-12}, out=tmp_path / "on")
    before, after = last(trained), last(run)
    names = [k for k in before if k.startswith("networks.") and "running" not in k]
    names = [k for k in names if "num_batches" not in k]
    assert len(names) > 5
    for name in names:
        torch.testing.assert_close(after[name], before[name], rtol=1e-6, atol=1e-9)
    untrained = network(with_data(recipe_of(["simclr", *SMALL]))[0], vf.open_data("digits").train)
    first = untrained.state_dict()
    assert not all(torch.equal(first[k], before[k]) for k in names)


def test_the_recipe_is_the_others_under_the_words(trained: Run) -> None:
    _, made = base_of(trained.folder, ["epochs=7", "batch_size=32"])
    was = trained.recipe()
    assert (made.epochs, made.batch_size) == (7, 32)
    assert made.model_copy(update={"epochs": 1, "batch_size": 16}).plain() == was.plain()


def test_another_method_keeps_encoder_data_and_budget_and_brings_the_rest(trained: Run) -> None:
    _, made = base_of(trained.folder, ["ci-infonce", "positives=labels", "epochs=3"])
    was, row = trained.recipe(), recipe_of(["ci-infonce", "positives=labels"])
    assert (made.encoder, made.data, made.batch_size) == (was.encoder, was.data, was.batch_size)
    for part in ("positives", "negatives", "objective", "head", "target", "schedule"):
        assert getattr(made, part) == getattr(row, part), part
    assert made.views.preset == row.views.preset


def test_other_data_bring_no_limit_and_no_label_file_of_the_first(trained: Run) -> None:
    _, made = base_of(trained.folder, ["data=shapes"])
    assert (made.data.source, made.data.limit, made.data.channels) == ("shapes", None, 1)


def test_a_run_says_what_it_began_with_and_needs_it_no_more(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "first")
    run = vf.pretrain(start=tmp_path / "first", out=tmp_path / "on")
    shutil.rmtree(tmp_path / "first")
    origin = origin_of(run)
    assert origin == Origin(str(tmp_path / "first"), "simclr", 1, False, (), ())
    assert any(str(tmp_path / "first") in note for note in gather(run.folder).notes)
    whole = last(run)
    shutil.rmtree(run.checkpoints)  # as one that died before its first checkpoint
    run.metrics_file.unlink()
    again = last(resume(run.folder))
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[k], again[k]) for k in whole)


def test_what_does_not_fit_is_listed_and_refused_unless_allowed(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"7 begin untrained \(networks.*projector.*--partly"):
        vf.pretrain(start=trained, head={"projector": [24, 8]}, out=tmp_path / "on")
    assert not (tmp_path / "on").exists()
    run = vf.pretrain(start=trained, head={"projector": [24, 8]}, partly=True, out=tmp_path / "on")
    origin = origin_of(run)
    assert origin is not None and origin.new and all("projector" in k for k in origin.new)
    assert "projector" in capsys.readouterr().out
    assert "new" in origin.in_words()


def test_an_encoder_that_has_nothing_in_common_is_always_refused(
    trained: Run, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no weight of the encoder"):
        vf.pretrain(start=trained, encoder={"widths": [5, 10]}, partly=True, out=tmp_path / "on")


def test_what_was_held_out_stays_held_out_whatever_the_seed(trained: Run, tmp_path: Path) -> None:
    assert trained.held_out() is not None
    run = vf.pretrain(start=trained, seed=5, data={"limit": None}, out=tmp_path / "on")
    np.testing.assert_array_equal(np.sort(run.held_out()), np.sort(trained.held_out()))
    assert resume(run.folder).folder == run.folder  # finished, and its data are as they were


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_can_begin_with_an_encoder(method: str, trained: Run, tmp_path: Path) -> None:
    """Encoder as trained; the target, whatever it is, as the online network."""
    if "encoder" in METHODS[method].settings:
        pytest.skip("it brings an encoder of its own")
    try:
        module = made(base_of(trained.folder, [method])[1])
    except UserError as lacking:
        with pytest.raises(UserError):  # and so it is of a run that begins untrained
            made(recipe_of([method, *SMALL]))
        pytest.skip(f"the data lack what it needs: {lacking}")
    if len(module.online) > 1:
        pytest.skip("several networks: theirs have other names")
    run = Run(tmp_path / "on")
    run.folder.mkdir()
    keep_origin(run, trained, partly=True)
    begin(module, run)
    theirs = last(trained)
    for name, weight in module.state_dict().items():
        if name.startswith("networks.") and ".encoder." in name:
            assert torch.equal(weight, theirs[name]), name
    for name, one in module.online.items():
        encoder, _ = module.target.steady(name, one)
        for a, b in zip(encoder.parameters(), one.encoder.parameters(), strict=True):
            assert torch.equal(a, b)
    assert isinstance(json.loads(run.origin_file.read_text())["new"], list)


def test_mistakes_are_told_on_the_command_line(
    trained: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["viewfinder", "pretrain", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        return capsys.readouterr().err

    assert "is not a run" in told("--from", str(tmp_path))
    assert "goes neither" in told("--from", str(trained.folder), "--resume", str(trained.folder))
    assert "goes with it alone" in told("simclr", "--partly")
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(trained.recipe_file, empty)
    assert "no checkpoint yet" in told("--from", str(empty), "--out", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_damaged_note_of_the_origin_is_named(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    for text in ("[]", '{"run": 3}', "{", ""):
        run.origin_file.write_text(text)
        with pytest.raises(UserError, match=r"origin\.json is damaged"):
            origin_of(run)
        assert any("origin.json" in note for note in gather(run.folder).notes)
