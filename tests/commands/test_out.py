"""``--out`` of every command: what the user has stays, and what cannot be written is told before
anything is computed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from viewfinder.commands.main import main

SMALL = ["data=digits", "data.limit=400", "epochs=1", "batch_size=64", "logger=none"]
SMALL += ["encoder.widths=[4,8]", "accelerator=cpu", "evaluation.baselines=false"]


def run(patch: pytest.MonkeyPatch, *words: object) -> int:
    patch.setattr(sys, "argv", ["viewfinder", *map(str, words)])
    patch.delenv("VIEWFINDER_RUN", raising=False)
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "pretrain", "simclr", *SMALL, "--out", out) == 0
        x = np.random.default_rng(0).normal(size=(64, 1))
        np.save(out.parent / "x.npy", x)
    return out


Words = Callable[[Path], list[object]]
FEW = ["--seeds", "1", "--steps", "1"]
FILES: dict[str, tuple[Words, str, list[str]]] = {
    "search": (lambda r: ["search", r, "0"], "found.html", ["photo.png"]),
    "report": (lambda r: ["report", r], "again.html", ["photo.png"]),
    "embed parquet": (lambda r: ["embed", r, "--data", "digits"], "e.parquet", ["e.txt"]),
    "embed csv": (lambda r: ["embed", r, "--data", "digits"], "e.csv", []),
    "embed npy": (lambda r: ["embed", r, "--data", "digits"], "e.npy", []),
    "embed npz": (lambda r: ["embed", r, "--data", "digits"], "e.npz", []),
    "arrays": (
        lambda r: ["measure", "--arrays", r.parent / "x.npy", r.parent / "x.npy", *FEW],
        "m.json",
        ["x.npy"],
    ),
    "run": (lambda r: ["measure", "--run", r, *FEW], "r.json", ["recipe.yaml"]),
    "calibrate": (
        lambda r: ["measure", "--calibrate", "digits", *FEW],
        "c.json",
        ["c.txt"],
    ),
    "views": (
        lambda r: ["measure", "--views", "simclr", "--data", "digits", "data.limit=90", *FEW],
        "v.json",
        ["v.png"],
    ),
}  # words, a name that is written, names that are refused for what they end in
FOLDERS: dict[str, tuple[Words, list[str]]] = {
    "clean": (lambda r: ["clean", r], ["findings.parquet", "outliers.csv", "clean.html"]),
    "clusters": (
        lambda r: ["clusters", "shapes", "data.limit=100"],
        ["clusters.csv", "curves.png", "information_plane.png", "z.parquet"],
    ),
    "reproduce": (
        lambda r: ["reproduce", "ci-infonce/table1", "--quick"],
        ["results.json", "table.md", "mine.png"],
    ),
}


def never(patch: pytest.MonkeyPatch) -> None:
    """Whatever opens data or a run fails, so that what is refused was refused before."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("something was opened before --out was looked at")

    for place in ("embed.load_encoder", "measure.open_data", "clusters.open_data"):
        patch.setattr(f"viewfinder.commands.{place}", opened)
    for place in ("search.run_images", "clean.run_images", "reproduce.run_experiment"):
        patch.setattr(f"viewfinder.commands.{place}", opened)
    patch.setattr("viewfinder.commands.measure_views.open_data", opened)
    patch.setattr("viewfinder.commands.measure.read", opened)


def refused(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    with patch.context() as inner:
        never(inner)
        assert run(inner, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", FILES)
def test_a_file_of_the_user_is_not_written_over_and_one_of_the_command_is(
    command: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words_of, name, others = FILES[command]
    words, out = words_of(trained), tmp_path / name
    for other in (name, *others):
        mine = tmp_path / other
        mine.write_bytes(b"what I have")
        assert str(mine) in refused(monkeypatch, capsys, *words, "--out", mine)
        assert mine.read_bytes() == b"what I have"
        mine.unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / name)
    for place in ("/dev/full", tmp_path / "folder", tmp_path / "link", out / "x" / name):
        if place == out / "x" / name:
            out.write_bytes(b"a file, not a folder")
        assert "cannot be written" in refused(monkeypatch, capsys, *words, "--out", place)
    out.unlink()
    assert run(monkeypatch, *words, "--out", out) == 0, capsys.readouterr().err
    for beside in [p for p in tmp_path.iterdir() if p.is_file() and p != out]:
        kept = beside.read_bytes()
        if not (beside.suffix == ".csv" and command == "embed npy"):  # the JSON tells of it
            beside.write_bytes(b"what I have")
            assert "not written" in refused(monkeypatch, capsys, *words, "--out", out)
        beside.write_bytes(kept)
    assert run(monkeypatch, *words, "--out", out) == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_has_a_file_of_the_user_under_a_name_of_the_command_is_refused(
    command: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words_of, names = FOLDERS[command]
    words = words_of(trained)
    for name in names:
        (tmp_path / name).write_bytes(b"what I have")
        assert str(tmp_path / name) in refused(monkeypatch, capsys, *words, "--out", tmp_path)
        assert (tmp_path / name).read_bytes() == b"what I have"
        (tmp_path / name).unlink()
    assert "cannot be written" in refused(monkeypatch, capsys, *words, "--out", "/dev/full")
    if command != "reproduce":  # an hour
        for _ in range(2):
            assert run(monkeypatch, *words, "--out", tmp_path) == 0, capsys.readouterr().err


def test_every_command_with_out_is_among_these() -> None:
    """pretrain, learn-views and sweep take a new folder or their own, and have tests of that;
    group, compare and explore ask for the same marks, of lists and pairs of runs."""
    from typer.main import get_command

    from viewfinder.commands.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    have = {n for n, c in commands.items() if any("--out" in p.opts for p in c.params)}
    asked = {words(Path("r"))[0] for words, *_ in (*FILES.values(), *FOLDERS.values())}
    assert have - asked == {"pretrain", "learn-views", "sweep", "group", "compare", "explore"}
