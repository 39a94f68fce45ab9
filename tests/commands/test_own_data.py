"""A run knows its data: where they lie, and whether they are still what it was trained on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from viewfinder.commands.main import main

SMALL = ["epochs=1", "batch_size=8", "accelerator=cpu", "logger=none", "encoder.widths=[4]"]
SMALL += ["views.size=8", "evaluation.baselines=false", "evaluation.protocols=[knn]"]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of the command line with these words."""
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def make(place: Path, images: np.ndarray, labels: np.ndarray) -> None:
    place.mkdir(exist_ok=True)
    for name, part in {"train": slice(0, 24), "test": slice(24, None)}.items():
        np.savez(place / f"{name}.npz", images=images[part], labels=labels[part])


def known() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (36, 8, 8, 3), dtype=np.uint8), np.arange(36) % 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run on them, which were named by relative paths."""
    home = tmp_path_factory.mktemp("home")
    make(home / "data", *known())
    rows = [f"{i},{i % 3}" for i in range(24)]
    (home / "z.csv").write_text("\n".join(["index,cluster", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        words = ["ci-infonce-batch", "data=npz:data", "positives=file:z.csv", "--out", "run"]
        assert run(patch, "pretrain", *words, *SMALL) == 0
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it elsewhere, whose run names the copy's data; the current folder is another."""
    home = shutil.copytree(trained, tmp_path / "home")
    recipe = home / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(trained), str(home)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home


def test_paths_are_stored_absolute(trained: Path) -> None:
    recipe = yaml.safe_load((trained / "run" / "recipe.yaml").read_text())
    assert recipe["data"]["source"] == f"npz:{trained / 'data'}"
    assert recipe["positives"]["file"] == str(trained / "z.csv")


COMMANDS = {"evaluate": ["evaluate", "RUN"], "resume": ["pretrain", "--resume", "RUN"]}
commands = pytest.mark.parametrize("command", COMMANDS)


def words_of(command: str, home: Path) -> list[str]:
    return [str(home / "run") if word == "RUN" else word for word in COMMANDS[command]]


@commands
def test_a_run_is_used_from_any_folder(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, *words_of(command, home)) == 0


@commands
def test_data_that_moved_are_named_with_the_words_that_find_them(
    command: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (home / "data").rename(home / "moved")
    assert run(monkeypatch, *words_of(command, home)) == 2
    told = capsys.readouterr().err
    assert f"was trained with {home / 'data'}, and there is nothing there" in told
    assert "data=npz:PLACE" in told
    assert run(monkeypatch, *words_of(command, home), f"data=npz:{home / 'moved'}") == 0
    if command == "resume":  # it remembers
        assert run(monkeypatch, *words_of(command, home)) == 0


def test_a_file_of_positives_that_moved_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "z.csv").rename(home / "y.csv")
    assert run(monkeypatch, *words_of("resume", home)) == 2
    assert "positives.file=PLACE" in capsys.readouterr().err
    words = [*words_of("resume", home), f"positives.file={home / 'y.csv'}"]
    assert run(monkeypatch, *words) == 0
    assert run(monkeypatch, *words, "epochs=3") == 2
    assert "exactly as it was started" in capsys.readouterr().err


def other_pixels(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return images // 2, labels


def other_labels(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return images, labels[::-1].copy()


def fewer(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return images[:-3], labels[:-3]


def larger(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return images.repeat(2, 1).repeat(2, 2), labels


CHANGES = {
    other_pixels: "train: what they show differs",
    other_labels: "train: their labels differ",
    fewer: "test had 12 data and has 9",
    larger: "train: their shape is [3, 16, 16], and was [3, 8, 8]",
}


@commands
@pytest.mark.parametrize("change", CHANGES)
def test_data_that_changed_are_named_with_what_changed(
    change: Callable[..., tuple[np.ndarray, np.ndarray]],
    command: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(home / "data", *change(*known()))
    assert run(monkeypatch, *words_of(command, home)) == 2
    told = capsys.readouterr().err
    assert "are not the data that the run was trained on" in told
    assert CHANGES[change] in told
    assert "--data" in told
    if command == "evaluate":  # asked for by name, they are scored, and the scores say it
        named = ["--data", f"npz:{home / 'data'}"]
        assert run(monkeypatch, *words_of(command, home), *named) == 0
        assert "are not the data" in capsys.readouterr().out
        assert "are not the data" in (home / "run" / "results.json").read_text()


def test_clusters_that_changed_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{i},{(i + (i < 5)) % 3}" for i in range(24)]
    (home / "z.csv").write_text("\n".join(["index,cluster", *rows]))
    assert run(monkeypatch, *words_of("resume", home)) == 2
    assert "those of 5 of 24 images differ" in capsys.readouterr().err


def test_without_a_fingerprint_it_is_said_that_nothing_was_compared(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "run" / "data.json").unlink()
    assert run(monkeypatch, *words_of("evaluate", home)) == 0
    assert "cannot be told" in capsys.readouterr().out
