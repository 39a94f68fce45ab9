"""``viewfinder measure``: what is printed and written, and what is refused."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import viewfinder as vf
from viewfinder.commands import measure as command
from viewfinder.commands.main import main
from viewfinder.core.errors import UserError


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["viewfinder", "measure", *map(str, words)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 2))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 0.9 * x + math.sqrt(0.19) * rng.normal(size=x.shape))
    return tmp_path / "x.npy", tmp_path / "y.npy"


def test_a_correlation_is_measured_in_bits_with_all_that_makes_it(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "found.json"
    assert run(monkeypatch, "--arrays", *files, "--bits", "--seeds", 2, "--out", out) == 0
    told = capsys.readouterr().out
    found = json.loads(out.read_text())
    known = -math.log2(0.19)  # two independent coordinates of correlation 0.9
    assert 0.75 * known < found["value"] < known + found["high"] - found["low"]
    assert abs(found["shuffled"]) < 0.05 and found["unit"] == "bits"
    assert found["ceiling"] == pytest.approx(math.log2(75)) and found["protocol"]["k"] == 75
    for word in (f"{found['value']:.3f} bits", "95 %", "ceiling", "shuffled pairs", "600 held-out"):
        assert word in told


@pytest.mark.parametrize(
    ("x", "words", "told"),
    [
        (None, [], "no file"),
        (np.arange(1000), [], "has 1000 rows and"),
        (np.ones(1200), [], "x is constant in column 0"),
        (np.where(np.arange(1200) == 5, np.nan, 1.0), [], "not finite in column 0"),
        (np.arange(1200), ["--k", "700"], "k=700: the 600 held-out"),
        (np.arange(1200), ["--bound", "dv"], "objective=dv"),
        (np.arange(1200), ["--critic", "bilinear"], "critic is 'bilinear'"),
        (np.array([{"a": 1}] * 1200, dtype=object), [], "is not an array of numbers"),
        (np.array(3.0), [], "holds no array"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    files: tuple[Path, Path],
    x: Any,
    words: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files[0].unlink()
    if x is not None:
        np.save(files[0], x, allow_pickle=True)
    assert run(monkeypatch, "--arrays", *files, *words) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error and error.count("\n") == 1


def test_a_file_that_is_no_array_and_nothing_at_all(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text("1, 2, 3")
    assert run(monkeypatch, "--arrays", *files) == 2
    assert "is not an array of numbers as .npy" in capsys.readouterr().err
    assert run(monkeypatch) == 2
    assert "--arrays x.npy y.npy" in capsys.readouterr().err


def test_the_views_of_a_run_are_measured_on_images_held_out_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Views that are the images themselves reach the ceiling; ordinary ones share less."""
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    small = {"epochs": 1, "batch_size": 64, "accelerator": "cpu", "logger": "none"}
    small |= {"encoder": {"widths": [4, 8]}, "data": {"source": "digits", "limit": 700}}
    small |= {"evaluation": {"protocols": ["knn"], "baselines": False}}
    values = {}
    for name, steps in (("same", ["normalise"]), ("crops", ["crop", "normalise"])):
        folder, out = tmp_path / name, tmp_path / f"{name}.json"
        vf.pretrain("simclr", {"views.steps": steps}, out=folder, **small)
        assert run(monkeypatch, "--run", folder, "--seeds", 1, "--out", out) == 0
        values[name] = json.loads(out.read_text())
        assert "the run's projections" in capsys.readouterr().out
    for by in ("projections", "features"):
        same, crops = (values[name][by] for name in ("same", "crops"))
        assert same["value"] > crops["value"] and crops["value"] <= crops["ceiling"]
        assert same["protocol"]["pairs"] == crops["protocol"]["pairs"] > 64
    label = values["same"]["label"]  # of ten digits, about equally frequent
    assert label["value"] <= math.log(10) + 3 * (label["high"] - label["low"]) / 4
    assert values["same"]["projections"]["value"] > 0.5 * values["same"]["projections"]["ceiling"]


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--run", tmp_path) == 2
    assert "is not a run" in capsys.readouterr().err


def test_known_information_is_planted_in_images_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    assert run(monkeypatch, "--calibrate", "digits", "--seeds", 1, "--out", out) == 0
    assert "no image twice" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found[0]["known"] == pytest.approx(math.log(10))
    measured = [one["estimate"]["value"] for one in found]
    assert measured[0] > 0.5 and measured[0] > measured[-1] + 0.3
    for one in found:
        estimate = one["estimate"]
        assert estimate["value"] < one["known"] + estimate["high"] - estimate["low"]


def test_overrides_belong_to_a_source(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--arrays", *files, "data.limit=3") == 2
    assert "only --calibrate and --views take overrides" in capsys.readouterr().err
    assert run(monkeypatch, "--calibrate", "digits", "data.limit=12") == 2
    assert "classes" in capsys.readouterr().err


@pytest.mark.parametrize("pairs", [1, 2, 15, 16, 63])
def test_pairs_too_few_to_measure_are_refused_before_anything_else(
    pairs: int, tmp_path: Path
) -> None:
    file = tmp_path / "x.npy"
    np.save(file, np.arange(float(pairs)))
    with pytest.raises(UserError, match=f"{pairs} pairs; at least 64"):
        command.arrays(file, file)
