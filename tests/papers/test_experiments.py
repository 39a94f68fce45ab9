"""The table of experiments and what every result looks like on disk."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from viewfinder.core.errors import UserError
from viewfinder.papers import registry
from viewfinder.papers.registry import EXPERIMENTS, find, reproduce
from viewfinder.papers.result import Finding, Result, Spread, markdown, table, write


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, viewfinder.papers.registry as r; assert r.EXPERIMENTS; "
        "print([m for m in ('torch', 'sklearn', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda e: e.name)
def test_every_experiment_can_be_found_and_run(experiment: registry.Experiment) -> None:
    module, function = experiment.run.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert callable(importlib.import_module(module).judge)
    assert find(experiment.name) is experiment
    assert experiment.claim.endswith(".")
    assert experiment.quick_minutes < experiment.minutes


def test_a_wrong_name_or_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vince/fig1"):
        reproduce("vince/fig2", tmp_path)
    with pytest.raises(UserError, match="seeds is 0"):
        reproduce("vince/fig1", tmp_path, seeds=0)
    with pytest.raises(UserError, match="workers is 0"):
        reproduce("vince/fig1", tmp_path, workers=0)
    assert not list(tmp_path.iterdir())


def test_spread_is_the_sample_deviation() -> None:
    spread = Spread((1.0, 2.0, 6.0))
    assert spread.mean == 3.0
    assert spread.deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert Spread((1.0,)).deviation is None
    assert "1 seed" in str(Spread((1.0,)))


def test_results_are_written_as_strict_json_and_a_table(tmp_path: Path) -> None:
    result = Result(
        findings=[Finding("up", "0.5 ± 0.1", True), Finding("down", "0.9 ± 0.1", False)],
        protocol={"steps": 10},
        numbers={"loss": [1.0, math.nan]},
        figures=["a.png"],
        notes=["Said plainly."],
    )
    experiment = find("vince/fig1")
    write(result, experiment, tmp_path)
    read = json.loads((tmp_path / "results.json").read_text())
    assert read["numbers"]["loss"] == [1.0, None]
    assert read["experiment"]["name"] == "vince/fig1"
    table = (tmp_path / "table.md").read_text()
    assert table == markdown(result, experiment)
    assert "| up | 0.5 ± 0.1 | - | yes |" in table
    assert "| down | 0.9 ± 0.1 | - | **no** |" in table
    assert "steps 10" in table
    assert "![Figure 1](a.png)" in table


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    lines = table(["H(Z|T)", "holds"], [["I(Z;T) > H(Z|T)", "yes"]]).splitlines()
    assert lines == ["| H(Z\\|T) | holds |", "| --- | --- |", "| I(Z;T) > H(Z\\|T) | yes |"]
