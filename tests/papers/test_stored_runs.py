"""Stored runs: finished ones are not computed again, whatever happened to the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from viewfinder.papers.runs import Settings, run_all

CALLS: list[Any] = []


def square(settings: Settings) -> dict[str, Any]:
    CALLS.append(settings["x"])
    if settings.get("stop"):
        raise KeyboardInterrupt
    return {"y": settings["x"] ** 2, "threads": torch.get_num_threads()}


def ys(results: list[dict[str, Any]]) -> list[int]:
    return [r["y"] for r in results]


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def test_results_come_in_the_order_of_the_settings_and_are_stored(tmp_path: Path) -> None:
    assert ys(run_all(square, [{"x": 3}, {"x": 1}], tmp_path)) == [9, 1]
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert ys(run_all(square, [{"x": 1}, {"x": 2}, {"x": 3}], tmp_path)) == [1, 4, 9]
    assert CALLS == [3, 1, 2]


def test_an_interrupted_command_continues(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_all(square, [{"x": 1}, {"x": 2, "stop": True}, {"x": 3}], tmp_path)
    assert ys(run_all(square, [{"x": 1}, {"x": 2}, {"x": 3}], tmp_path)) == [1, 4, 9]
    assert CALLS == [1, 2, 2, 3]


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"settings": {"x": 9}, "result": {"y": 0}}'])
def test_a_broken_or_foreign_file_is_not_believed(tmp_path: Path, broken: str) -> None:
    run_all(square, [{"x": 4}], tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(broken)
    assert ys(run_all(square, [{"x": 4}], tmp_path)) == [16]
    assert json.loads(file.read_text())["result"]["y"] == 16


def test_progress_counts_stored_runs_too(tmp_path: Path) -> None:
    run_all(square, [{"x": 1}], tmp_path)
    seen: list[tuple[int, int]] = []
    run_all(
        square,
        [{"x": 1}, {"x": 2}],
        tmp_path,
        progress=lambda done, total, _: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_a_run_has_one_thread_and_leaves_the_number_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run_all(square, [{"x": 1}], tmp_path)[0]["threads"] == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
