"""The table of tables and figures: what can be reproduced, and the one function that does it.

Nothing heavy is imported until an experiment runs: listing the table is instant.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from viewfinder.errors import UserError, unknown

if TYPE_CHECKING:
    from viewfinder.papers.result import Result

Progress = Callable[[int, int, str], None]
"""Called with (runs finished, runs in all, what has just finished)."""


def silent(done: int, total: int, what: str) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper.

    name           "paper/item", as typed on the command line
    paper          authors, year, title
    item           the table or figure, as the paper calls it
    claim          what it shows, in one sentence
    run            "module:function", called as run(out, seeds=, quick=, device=, workers=,
                   progress=); it returns a Result, having written its figures into ``out``
    minutes        about how long it takes on two cores; quick_minutes: with ``quick``
    """

    name: str
    paper: str
    item: str
    claim: str
    run: str
    minutes: float
    quick_minutes: float


EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        Experiment(
            name="vince/fig1",
            paper="Wu, Zhuang, Mosse, Yamins, Goodman 2020, "
            "On Mutual Information in Contrastive Learning for Visual Representations",
            item="Figure 1",
            claim="On two interwoven spirals, views by uniform noise make a good representation "
            "only at a noise level in between: too little or too much leaves it at chance.",
            run="viewfinder.papers.vince_fig1:run",
            minutes=30,
            quick_minutes=3,
        ),
    )
}


def find(name: str) -> Experiment:
    """The experiment of that name. Raises UserError, naming the nearest, for another name."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def reproduce(
    name: str,
    out: Path | str,
    *,
    seeds: int = 3,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Run the experiment and write results.json, table.md and its figures into ``out``.

    Training runs that are finished are kept in ``out``/runs and used again, so an interrupted
    command continues where it was, and a repeated one only draws.

    seeds     how many seeds, 0 ... seeds - 1; the spread is over them
    quick     a shorter form, whose numbers are only a hint
    workers   processes that train at the same time, each on one thread
    Raises UserError for an unknown name, and for fewer than one seed or worker.
    """
    experiment = find(name)
    for key, value in (("seeds", seeds), ("workers", workers)):
        if value < 1:
            raise UserError(f"{key} is {value}; at least 1 is expected", fix=f"{key}=1")
    module, function = experiment.run.split(":")
    run = getattr(importlib.import_module(module), function)
    out = Path(out)
    result: Result = run(
        out, seeds=seeds, quick=quick, device=device, workers=workers, progress=progress
    )
    from viewfinder.papers.result import write

    write(result, experiment, out)
    return result
