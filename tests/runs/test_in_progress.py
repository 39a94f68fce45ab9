"""One process trains in a run folder at a time, and what dead ones left is no hindrance."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from viewfinder.commands import pretrain as training
from viewfinder.core.errors import InterruptedRun, RunStopped, UserError
from viewfinder.core.processes import is_running, started
from viewfinder.evaluation import scoring
from viewfinder.recipes.recipe import build
from viewfinder.runs.in_progress import NAME, in_progress
from viewfinder.runs.run import Run

TINY = {
    "data": {"source": "digits", "limit": 60},
    "epochs": 1,
    "batch_size": 16,
    "logger": "none",
    "accelerator": "cpu",
    "encoder": {"widths": [4]},
    "evaluation": {"baselines": False, "protocols": ["knn"]},
}
WORDS = "simclr data=digits data.limit=60 batch_size=16 logger=none encoder.widths=[4] "
WORDS += "evaluation.baselines=false evaluation.protocols=[knn]"


def process(*words: str) -> subprocess.Popen[str]:
    code = "from viewfinder.commands.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


def dead() -> int:
    """The number of a process that is gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    return gone.pid


def held(folder: Path, **facts: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(json.dumps(facts))
    return folder


def test_a_second_process_is_told_who_is_at_work(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = process("pretrain", *WORDS.split(), "epochs=100000", "--out", str(run))
    wait_for(run / "checkpoints" / "epoch-00001")
    for words in (["--resume", str(run)], [*WORDS.split(), "epochs=1", "--out", str(run)]):
        second = process("pretrain", *words)
        _, told = second.communicate(timeout=120)
        assert second.returncode == 2
        assert f"process {first.pid} on {socket.gethostname()} trains in it" in told
    first.send_signal(signal.SIGTERM)
    _, told = first.communicate(timeout=60)
    assert first.returncode == 130
    assert f"viewfinder pretrain --resume {run}" in told
    assert not (run / NAME).exists()


def test_the_place_of_a_dead_process_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = dead()
    for facts in (
        {"pid": gone, "host": socket.gethostname(), "started": "then"},
        {"pid": os.getpid(), "host": socket.gethostname(), "started": "long ago"},  # used again
    ):
        held(tmp_path, **facts)
        with in_progress(tmp_path):
            assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
        assert f"process {facts['pid']} on" in capsys.readouterr().out
        assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": -1}', '{"pid": "x"}', "[" * 9000])
def test_what_nobody_can_have_written_is_no_lock(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content)
    with in_progress(tmp_path):
        pass


def test_a_process_of_another_machine_is_believed(tmp_path: Path) -> None:
    held(tmp_path, pid=1, host="elsewhere", started=None)
    with pytest.raises(UserError, match="process 1 on elsewhere"), in_progress(tmp_path):
        pass
    assert (tmp_path / NAME).exists()


def test_processes_are_told_apart() -> None:
    assert is_running(os.getpid(), started(os.getpid()))
    assert not is_running(dead())
    assert not is_running(10**12)


def test_leftovers_of_dead_processes_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    gone, own = dead(), os.getpid()
    (tmp_path / "cache").mkdir()
    (tmp_path / "checkpoints" / ".epoch-00003.partial").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".epoch-00002.old").mkdir()
    left = [tmp_path / f".metrics.csv.{gone}.tmp", tmp_path / "cache" / f".a.b.{gone}.tmp"]
    kept = [tmp_path / f".metrics.csv.{own}.tmp", tmp_path / ".mine.tmp", tmp_path / "x.1.tmp"]
    for file in (*left, *kept):
        file.touch()
    with in_progress(tmp_path):
        assert [file.exists() for file in (*left, *kept)] == [False] * 2 + [True] * 3
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [".epoch-00002.old"]


def test_a_run_that_was_refused_leaves_the_run_of_another_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    held(run, pid=1, host="elsewhere")
    for _ in range(2):
        with pytest.raises(UserError, match="process 1 on elsewhere"):
            training.pretrain(build("simclr", TINY), run)
    assert [path.name for path in run.iterdir()] == [NAME]


@pytest.mark.parametrize("when", ["training", "scoring"])
def test_a_folder_that_is_removed_meanwhile_stops_the_run(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")

    def removed(*_: object) -> None:
        run.recipe_file.unlink()

    place = "viewfinder.training.callbacks.Measures.on_train_epoch_end"
    if when == "scoring":
        place = "viewfinder.evaluation.scoring.save_artifacts"
    monkeypatch.setattr(place, removed)
    with pytest.raises(RunStopped, match="is gone"):
        training.pretrain(build("simclr", TINY), run.folder)


@pytest.mark.parametrize("when", ["fit", "finish"])
def test_an_interruption_says_how_to_go_on_wherever_it_comes(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        signal.default_int_handler(signal.SIGTERM, None)

    module = "viewfinder.training.fit" if when == "fit" else scoring.__name__
    monkeypatch.setattr(f"{module}.{when}", interrupted)
    with pytest.raises(InterruptedRun, match=f"--resume {tmp_path / 'run'}"):
        training.pretrain(build("simclr", TINY), tmp_path / "run")
    monkeypatch.undo()
    assert training.resume(tmp_path / "run").report.exists()
