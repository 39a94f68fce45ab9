"""A table at the paper's scale: which runs, in which order, and what came out beside the paper."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viewfinder.papers.experiment import RECIPES, Experiment
from viewfinder.papers.paper_numbers import TOP1
from viewfinder.papers.result import table

_DATA = re.compile(r"(^|:)data(?=/|$)")
"""Where the recipes say that the data lie: the folder ``data``, alone, in a path, or after the name
of a source."""


@dataclass(frozen=True)
class PaperRun:
    """One run of a table.

    name    of its recipe, "paper/file" without .yaml
    folder  of the run
    paper   the paper's top-1 in percent, where it is known
    """

    name: str
    folder: Path
    paper: float | None

    @property
    def file(self) -> Path:
        return RECIPES / f"{self.name}.yaml"

    @property
    def state(self) -> str:
        """Whether the folder has a run that is finished, one that was begun, or none."""
        if (self.folder / "results.json").exists():
            return "finished"
        return "begun" if (self.folder / "recipe.yaml").exists() else "missing"


PROBE = "top-1 by the paper's probe"
"""A heading of the table, by which it is known."""


def plan(experiment: Experiment, out: Path) -> list[PaperRun]:
    """The runs of an experiment's recipes in order of value, that of the experiment's list."""
    return [
        PaperRun(name, out / name.rpartition("/")[2], TOP1.get(name)) for name in experiment.recipes
    ]


def moved(recipe: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What changes of a recipe, nested, where its folder ``data`` is another one.

    >>> data = {"source": "cub200:data/CUB", "root": "data", "limit": 10}
    >>> moved({"data": data, "epochs": 2}, Path("/sets"))
    {'data': {'source': 'cub200:/sets/CUB', 'root': '/sets'}}
    """
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            inner = moved(value, root)
            found |= {key: inner} if inner else {}
        elif isinstance(value, str) and _DATA.search(value):
            found[key] = _DATA.sub(lambda match: f"{match[1]}{root.as_posix()}", value)
    return found


def comparison(runs: Sequence[PaperRun], reasons: Mapping[str, str]) -> str:
    """The table: of each run its accuracy by the paper's probe and by ours, beside the paper's.

    reasons   of runs without a result, by name
    """
    rows = []
    for run in runs:
        known = {
            score["protocol"]["protocol"]: score["top1"]
            for score in _scores(run.folder)
            if score["features"] == "trained" and "top1" in score
        }
        first = next(iter(known), None)
        own = "-" if first is None else f"{100 * known[first]:.2f} ({first})"
        linear = "-" if "linear" not in known else f"{100 * known['linear']:.2f}"
        paper = "-" if run.paper is None else f"{run.paper:.2f}"
        rows.append([run.name, own, linear, paper, reasons.get(run.name, run.state)])
    head = ["run", PROBE, "linear", "the paper", "state"]
    return table(head, rows)


def _scores(folder: Path) -> list[dict[str, Any]]:
    file = folder / "results.json"
    if not file.exists():
        return []
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found
