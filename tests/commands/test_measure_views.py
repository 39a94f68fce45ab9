"""``viewfinder measure --views``: equal terms, a chart, results that are continued, refusals."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from viewfinder.commands.main import main
from viewfinder.commands.measure_views import views_of
from viewfinder.core.errors import UserError
from viewfinder.information import estimator

QUICK = ("--data", "digits", "data.limit=260", "--seeds", "1", "--steps", "6")


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["viewfinder", "measure", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_makers_are_measured_on_equal_terms_and_a_comparison_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is known is not trained again; further makers and seeds join it."""
    assert run(monkeypatch, "--views", "none", "simclr views.grey=1", *QUICK, "--labels") == 0
    told = capsys.readouterr().out
    found = json.loads((here / "views.json").read_text())
    n = found["arms"]["none"]["estimates"]["views"]["protocol"]["pairs"]
    k = n // 2 // 8
    for word in (f"{n} pairs are few", f"{n} images of digits", f"{k} candidates"):
        assert word in told
    assert f"ceiling: {math.log(k):.3f} nats" in told
    assert told.index("pairs are few") < told.index("), seed 0")
    assert (here / "views.png").read_bytes()[:4] == b"\x89PNG"
    assert list(found["arms"]) == ["none", "simclr views.grey=1"]
    assert found["protocol"]["k"] == k and found["protocol"]["steps"] == 6
    for arm in found["arms"].values():
        assert set(arm["estimates"]) == {"views", "label"}
        for estimate in arm["estimates"].values():
            assert estimate["protocol"]["held_out"] == n // 2 and estimate["protocol"]["k"] == k
            assert estimate["ceiling"] == pytest.approx(math.log(k))

    trained: list[int] = []
    one_seed = estimator._one_seed

    def counted(*given: Any) -> Any:
        trained.append(given[5])
        return one_seed(*given)

    monkeypatch.setattr(estimator, "_one_seed", counted)
    assert run(monkeypatch, "--views", "none", *QUICK) == 0
    assert trained == []
    assert run(monkeypatch, "--views", "byol", *QUICK, "--bits") == 0
    assert trained == [0]
    again = json.loads((here / "views.json").read_text())
    for name, arm in found["arms"].items():
        assert again["arms"][name]["results"] == arm["results"]
    bits = again["arms"]["none"]["estimates"]["views"]["value"]
    assert bits == pytest.approx(found["arms"]["none"]["estimates"]["views"]["value"] / math.log(2))
    assert run(monkeypatch, "--views", "byol", *QUICK, "--seeds", "2") == 0
    assert trained == [0, 1, 1, 1]  # the second seed of all three
    capsys.readouterr()
    for more, told in (
        (["data.limit=250"], "data.limit is 260, and now it is 250"),
        (["--steps", "7"], "protocol.steps is 6, and now it is 7"),
        (["--k", "4"], f"protocol.k is {k}, and now it is 4"),
    ):
        assert run(monkeypatch, "--views", "byol", *QUICK, *more) == 2
        assert told in capsys.readouterr().err
    kept = (here / "views.json").read_text()
    damaged = kept.replace('"batches"', '"bunches"')
    (here / "views.json").write_text(damaged)
    assert run(monkeypatch, "--views", "byol", *QUICK) == 2
    assert "views.json is no comparison of views" in capsys.readouterr().err
    assert (here / "views.json").read_text() == damaged


def test_what_was_measured_before_a_kill_is_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_seed, calls = estimator._one_seed, [0]

    def killed(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return one_seed(*given)

    monkeypatch.setattr(estimator, "_one_seed", killed)
    assert run(monkeypatch, "--views", "none", "byol", *QUICK) != 0
    found = json.loads((here / "views.json").read_text())
    assert list(found["arms"]["none"]["results"]["views"]) == ["seed 0"]
    assert not found["arms"]["byol"]["results"].get("views")
    assert run(monkeypatch, "--views", "none", "byol", *QUICK) == 0
    assert calls[0] == 3  # byol's alone
    assert "views.json is continued" in capsys.readouterr().out


def test_views_are_said_as_in_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("method: moco\nviews: {steps: [flip, normalise]}\n")
    assert views_of("byol").preset == "byol"
    assert views_of("simclr  views.grey=1 views.crop_scale=[0.5, 1.0]").overrides == {
        "grey_p": 1,
        "crop_scale": [0.5, 1.0],
    }
    assert views_of("views.steps=[flip, {grey: 0.3}, normalise]").preset is None
    assert views_of(str(file)).steps == ["flip", "normalise"]
    assert views_of(f"{file} views.steps=[normalise]").steps == ["normalise"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--views", "simclrr", *QUICK], "Did you mean 'simclr'"),
        (["--views", "simclr views.gray=1", *QUICK], "views.gray"),
        (["--views", "simclr views.count=1", *QUICK], "has one view; two are expected"),
        (["--views", "simclr views.grey=2", *QUICK], "views.grey"),
        (["--views", "none.yaml", *QUICK], "none.yaml"),
        (["--views", "simclr"], "--data folder:photos"),
        (["--views", "simclr", *QUICK, "--critic", "joint"], "--critic is not of --views"),
        (["--views", "simclr", *QUICK, "data.limit=40"], "pairs; at least 64"),
        (["--views", "simclr", *QUICK, "--k", "200"], "k=200: the"),
        (["--views", "simclr", *QUICK, "epochs=3"], "epochs cannot be set here"),
        (["--calibrate", "digits", "--data", "digits"], "--data goes with --views alone"),
        (["--views", "simclr", *QUICK, "--bound", "dv"], "not reported as mutual information"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_leaves_no_file(
    words: list[str],
    told: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error and error.count("\n") == 1
    assert not (here / "views.json").exists()


def test_labels_must_be_there_and_differ() -> None:
    import numpy as np
    import torch

    from viewfinder.commands.measure_views import _of_label
    from viewfinder.data.source import Split
    from viewfinder.data.stored import ArrayData

    data = ArrayData(torch.zeros(9, 3, 8, 8, dtype=torch.uint8))
    for labels, told in (
        (None, "no labels"),
        (np.zeros(9, int), "all labels are alike"),
        (np.arange(9) - 1, "1 of 9 have none"),
    ):
        with pytest.raises(UserError, match=told):
            _of_label(Split("train", data, labels))
