"""``viewfinder sweep``: what is refused before anything runs, and a small one as a whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import viewfinder as vf
from viewfinder.commands import sweep as command
from viewfinder.commands.main import main
from viewfinder.core.errors import RunStopped, UserError
from viewfinder.sweeps.plan import Point

TINY = ["data=digits", "epochs=1", "batch_size=64", "encoder.widths=[4,8]", "accelerator=cpu",
        "evaluation.protocols=[knn]", "data.limit=900"]  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["viewfinder", "sweep", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be trained."""

    def refused(point: Point) -> dict[str, Any]:
        raise AssertionError(f"{point.name} was trained")

    monkeypatch.setattr(command, "train_point", refused)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "needs vary=PATH"),
        (["vary=views.strength"], "is not of the form vary=PATH:v1,v2"),
        (["vary=views.strength:"], "is not of the form"),
        (["vary=views.strength:1"], "has 1 value; two are expected"),
        (["vary=views.strength:1,1.0"], "has the value 1 twice"),
        (["vary=views.strength:[1,2"], "cannot be read"),
        (["vary=views.strenght:0,1"], "Did you mean views.strength=0"),
        (["vary=nothing.like.this:0,1"], "unknown key nothing"),
        (["vary=objective.lambda:0,1"], "objective=nt-xent has no option 'lambda'"),
        (["vary=views.strength.jiter:0,1"], "Did you mean 'jitter'"),
        (["vary=epochs:1,ten"], "at ten: epochs is 'ten'"),
        (["vary=epochs:1,0"], "at 0: epochs is 0"),
        (["vary=views.count:2,5"], "at 5: objective=nt-xent compares two views"),
        (["vary=views.size:8,80"], "at 80: views.size is 80"),
        (["vary=views.strength.jitter:0,50"], "at 50 times its strength"),
        (["vary=views.split:frequency:0,frequency:1"], "at frequency:0: split frequency: sigma is"),
        (["vary=views.split:channels:1,frequency:1"], "leave none for the second view"),
        (["vary=seed:0,1"], "a sweep compares one recipe with itself"),
        (["vary=data.source:digits,shapes"], "a sweep compares one recipe with itself"),
        (["vary=method:moco,byol"], "the method is simclr, and vary=method"),
        (["vary=objective.symmetric:1,2"], "unknown key|has no option"),
        (["vary=optimizer.lr:0.1,0.2", "vary=epochs:1,2"], "vary= is given twice"),
        (["vary=optimizer.lr:0.1,0.2", "seeds=0"], "seeds is 0"),
        (["vary=optimizer.lr:0.1,0.2", "seeds=many"], "seeds=many"),
        (["vary=optimizer.lr:0.1,0.2", "engine=rai"], "Did you mean 'ray'"),
        (["vary=optimizer.lr:0.1,0.2", "devices=2"], "trained by one process"),
        (["vary=views.size:8,null"], "mean the same recipe"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_runs(
    words: list[str],
    told: str,
    untrained: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import re

    out = tmp_path / "sweep"
    assert run(monkeypatch, "simclr", *TINY, *words, "--out", out) == 2
    error = capsys.readouterr().err
    assert re.search(re.escape(told) if "|" not in told else told, error), error
    assert "Traceback" not in error and not out.exists()


def test_data_without_labels_is_refused(
    untrained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "train.npz", images=np.zeros((80, 8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="no labels in train and test"):
        vf.sweep(vary=("epochs", [1, 2]), data=f"npz:{tmp_path}", batch_size=16, out=tmp_path / "s")


def test_a_folder_of_another_sweep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def quick(point: Point) -> dict[str, Any]:
        done.append(point.name)
        return {"top1": 0.5, "protocol": {}, "shared": None, "clusters": None}

    monkeypatch.setattr(command, "train_point", quick)
    out = tmp_path / "sweep"
    own = ["simclr", *TINY, "seeds=2", "--out", out]
    assert run(monkeypatch, *own, "vary=views.strength:0.5,1") == 0
    assert len(done) == 4
    # the same again trains nothing; further values and seeds come to those that are there
    assert run(monkeypatch, *own, "vary=views.strength:0.5,1") == 0
    assert len(done) == 4
    assert run(monkeypatch, *own, "vary=views.strength:0.25,1") == 0
    assert len(done) == 6
    assert json.loads((out / "results.json").read_text())["values"] == [0.5, 1, 0.25]
    for words, told in (
        (["vary=views.strength:0.5,1", "epochs=2"], "another epochs"),
        (["vary=views.strength:0.5,1", "views.flip=0.1"], "another views."),
        (["vary=optimizer.lr:0.5,1"], "is a sweep along views.strength"),
    ):
        assert run(monkeypatch, *own, *words) == 2
        assert told in capsys.readouterr().err
    assert len(done) == 6
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.txt").touch()
    words = [*own[:-1], tmp_path / "other", "vary=views.strength:0.5,1"]
    assert run(monkeypatch, *words) == 2
    assert "is not empty and no sweep" in capsys.readouterr().err
    (out / "sweep.json").write_text('{"path": 1}')
    assert run(monkeypatch, *own, "vary=views.strength:0.5,1") == 2
    assert "not the plan of a sweep" in capsys.readouterr().err


def test_points_that_fail_are_told_and_the_others_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half(point: Point) -> dict[str, Any]:
        if point.value == 2:
            raise RuntimeError("no memory")
        return {"top1": 0.5, "protocol": {}, "shared": None, "clusters": None}

    monkeypatch.setattr(command, "train_point", half)
    out = tmp_path / "sweep"
    words = ["simclr", *TINY, "vary=epochs:1,2,3", "seeds=1", "--out", out]
    assert run(monkeypatch, *words) == 1
    told = capsys.readouterr()
    assert "1 of 3 points failed, the others are kept" in told.err and "no memory" in told.out
    assert json.loads((out / "results.json").read_text())["values"] == [1, 3]
    with pytest.raises(RunStopped):
        vf.sweep("simclr", vary=("epochs", [1, 2, 3]), seeds=1, out=tmp_path / "again",
                 data={"source": "digits"}, batch_size=64)  # fmt: skip


def test_a_small_sweep_trains_measures_and_goes_on_in_a_begun_run(tmp_path: Path) -> None:
    """Each point is a run like any other, with the information of its views on held-out images."""
    out, keys = tmp_path / "sweep", {
        "data": {"source": "digits", "limit": 900}, "epochs": 2, "batch_size": 64,
        "accelerator": "cpu", "encoder": {"widths": [4, 8]},
        "evaluation": {"protocols": ["knn"]}, "logger": "none",
    }  # fmt: skip
    vary = ("views.strength", [0, 1])
    curve = vf.sweep("simclr", vary=vary, seeds=1, out=out, **keys)
    assert curve.values == (0, 1) and curve.information is not None
    assert curve.information[0, 0] > curve.information[1, 0]  # equal views share all they have
    point = out / "points" / "1-seed0"
    found = json.loads((point / "point.json").read_text())
    scores = json.loads((point / "run" / "results.json").read_text())
    assert found["top1"] == scores[0]["top1"] and found["protocol"]["protocol"] == "knn"
    assert found["shared"]["protocol"]["k"] == 180 // 2 // 8
    assert len(vf.load(point / "run").encode(np.zeros((2, 8, 8, 1), np.uint8))) == 2
    # a point whose result is gone goes on in its run, and finds the same
    (point / "point.json").unlink()
    again = vf.sweep("simclr", vary=vary, seeds=1, out=out, **keys)
    np.testing.assert_array_equal(again.accuracy, curve.accuracy)
    np.testing.assert_array_equal(again.information, curve.information)


def test_where_positives_are_clusters_their_information_is_measured(tmp_path: Path) -> None:
    curve = vf.sweep(
        "ci-infonce-batch", vary=("positives.k", [2, 8]), seeds=1, out=tmp_path / "s",
        data={"source": "digits", "limit": 300}, epochs=1, batch_size=32, accelerator="cpu",
        positives={"name": "kmeans"}, encoder={"widths": [4, 8]},
        evaluation={"protocols": ["knn"]},
    )  # fmt: skip
    assert curve.kind == "clusters" and curve.information is not None and curve.task is not None
    assert curve.information[0, 0] <= 1.0 < curve.information[1, 0] <= 3.0  # bits of 2 and 8
    assert (curve.task <= curve.information + 1e-9).all()
