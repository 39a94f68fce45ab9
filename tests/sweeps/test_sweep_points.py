"""Points of a sweep: none is lost, none is trained twice, none by two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweep_work
from sweep_work import plan_of, some_fail, trained

from viewfinder.core.errors import InterruptedRun, UserError
from viewfinder.sweeps import points as module
from viewfinder.sweeps.curve import curve_of
from viewfinder.sweeps.plan import Point, unfinished
from viewfinder.sweeps.points import one_after_another


def begun(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A process that works on the sweep in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(sweep_work.__file__), str(folder)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )


def lines(folder: Path) -> list[list[str]]:
    log = folder / "log.txt"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_two_processes_share_the_points_and_do_none_twice(tmp_path: Path) -> None:
    both = [begun(tmp_path, SLEEP="0.4", TOGETHER="2") for _ in range(2)]
    assert [process.wait(240) for process in both] == [0, 0]
    done = lines(tmp_path / "sweep")
    assert len(done) == 9 == len({name for name, _ in done})
    assert {pid for _, pid in done} == {str(process.pid) for process in both}
    assert not unfinished(plan_of(tmp_path / "sweep").points())


def test_the_point_of_a_killed_process_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT", 0.05)
    first = begun(tmp_path, SLEEP="1000")
    deadline = time.monotonic() + 240
    while not lines(tmp_path / "sweep") and time.monotonic() < deadline:
        time.sleep(0.02)
    (held, _) = lines(tmp_path / "sweep")[0]
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert one_after_another(plan_of(tmp_path / "sweep").points(), trained) == {}
    names = [name for name, _ in lines(tmp_path / "sweep")]
    assert names.count(held) == 2 and len(set(names)) == 9


def test_what_is_finished_is_kept_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    failed = one_after_another(plan.points(), some_fail)
    assert failed == {"1, seed 1": "RuntimeError('no memory')", "2, seed 2": "a file is gone"}
    assert len(lines(tmp_path)) == 6
    (stopped,) = [p for p in plan.points() if p.name == "0, seed 0"]
    assert stopped.result() == {"value": 0, "seed": 0, "stopped": "collapsed"}
    curve = curve_of(plan, plan.points(), failed)
    assert curve.values == () and curve.best is None
    assert "1, seed 1 failed: RuntimeError('no memory')" in curve.notes
    assert "0, seed 0 was stopped: collapsed" in curve.notes

    assert one_after_another(plan.points(), trained) == {}
    names = [name for name, _ in lines(tmp_path)]
    assert len(names) == 8 == len(set(names))  # the stopped one has its finding
    curve = curve_of(plan, plan.points(), {})
    assert curve.values == (1, 2)
    assert "0, seed 0 was stopped: collapsed" in curve.notes


def test_an_interruption_ends_it_and_keeps_what_is_there(tmp_path: Path) -> None:
    def interrupted(point: Point) -> dict[str, object]:
        if point.seed == 1:
            raise InterruptedRun(point.folder)
        return trained(point)

    plan = plan_of(tmp_path)
    with pytest.raises(InterruptedRun):
        one_after_another(plan.points(), interrupted)
    assert len(unfinished(plan.points())) == 6


@pytest.mark.parametrize("content", ["", "{", "[]", '{"value": 9, "seed": 0}', "[" * 9000])
def test_a_damaged_result_is_none(content: str, tmp_path: Path) -> None:
    (point, *_) = plan_of(tmp_path).points()
    point.folder.mkdir(parents=True)
    (point.folder / "point.json").write_text(content)
    assert point.result() is None
    one_after_another([point], trained)
    assert json.loads((point.folder / "point.json").read_text())["top1"] == 0.3


@pytest.mark.parametrize(
    "edited",
    [{"top1": 7.5}, {"top1": "abc"}, {"shared": [1]}, {"clusters": 3}, {"top1": True, "shared": 0}],
)
def test_a_point_that_says_what_no_run_gives_is_named(
    edited: dict[str, object], tmp_path: Path
) -> None:
    point = Point(0.5, 0, tmp_path, {})
    point.keep({"stopped": None, "top1": 0.5, "shared": None, "clusters": None})
    assert point.result() is not None
    point.keep({"stopped": None, "top1": 0.5, "shared": None, "clusters": None, **edited})
    with pytest.raises(UserError, match=r"point\.json says what no run gives.*remove"):
        point.result()
    (tmp_path / "point.json").write_text('{"value": 0.5, "seed": 0, "stopped": null}')
    with pytest.raises(UserError, match=r"point\.json says what no run gives.*remove"):
        point.result()
