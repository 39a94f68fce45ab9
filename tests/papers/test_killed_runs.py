"""A reproduction that is ended leaves no process that would go on computing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from viewfinder.core.processes import is_running

TRAIN = """
import os, tempfile, time
from pathlib import Path

def train(settings):
    with tempfile.TemporaryDirectory(dir=settings["scratch"]):
        Path(settings["file"]).write_text(str(os.getpid()))
        time.sleep(300)
"""
PARENT = """
import signal, sys
from pathlib import Path
from endless import train
from viewfinder.papers.runs import run_all

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    here = Path(sys.argv[1])
    scratch = here / "scratch"
    scratch.mkdir()
    settings = [{"file": str(here / f"{i}.pid"), "scratch": str(scratch)} for i in range(3)]
    run_all(train, settings, here / "runs", workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_workers_end_with_their_parent(how: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(TRAIN)
    (tmp_path / "parent.py").write_text(PARENT)
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.DEVNULL,
    )
    files = [tmp_path / "0.pid", tmp_path / "1.pid"]
    workers: list[int] = []
    try:
        _until(lambda: all(file.exists() and file.read_text() for file in files), 120)
        workers = [int(file.read_text()) for file in files]
        parent.send_signal(how)
        assert parent.wait(60) != 0
        _until(lambda: not any(map(is_running, workers)), 60)
        assert not list((tmp_path / "scratch").iterdir())
    finally:
        parent.kill()
        for worker in filter(is_running, workers):
            os.kill(worker, signal.SIGKILL)


def _until(done: object, seconds: float) -> None:
    assert callable(done)
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
