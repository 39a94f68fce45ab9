"""The table of tables and figures: what can be reproduced, and the one function that does it.

Nothing heavy is imported until an experiment runs: listing the table is instant.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfinder.core.errors import UserError, unknown
from viewfinder.papers.carl.experiments import CARL
from viewfinder.papers.ci_infonce.experiments import CI_INFONCE
from viewfinder.papers.experiment import Experiment
from viewfinder.papers.infomin.experiments import INFOMIN
from viewfinder.papers.minimal_sufficient.experiments import MINIMAL_SUFFICIENT
from viewfinder.papers.progress import Progress, silent
from viewfinder.papers.vince.experiments import VINCE

if TYPE_CHECKING:
    from viewfinder.papers.result import Result

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e for e in (*VINCE, *CI_INFONCE, *CARL, *MINIMAL_SUFFICIENT, *INFOMIN)
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
    seeds: int | None = None,
    quick: bool = False,
    device: str | None = None,
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Run the experiment and write results.json, table.md and its figures into ``out``.

    Training runs that are finished are kept in ``out``/runs and used again, so an interrupted
    command continues where it was, and a repeated one only draws.

    seeds     how many seeds, the spread is over them; None: as many as the experiment plans
    quick     a shorter form, whose numbers are only a hint
    device    "cpu" or "cuda"; None: a GPU if there is one and the experiment gains by it
    workers   processes that train at the same time, each on one thread
    Raises UserError for an unknown name, and for fewer than one seed or worker.
    """
    experiment = find(name)
    seeds = experiment.seeds if seeds is None else seeds
    for key, value in (("seeds", seeds), ("workers", workers)):
        if value < 1:
            raise UserError(f"{key} is {value}; at least 1 is expected", fix=f"{key}=1")
    run = getattr(_module(experiment), experiment.run.partition(":")[2])
    out = Path(out)
    result: Result = run(
        out,
        seeds=seeds,
        quick=quick,
        device=device or _device(experiment),
        workers=workers,
        progress=progress,
    )
    from viewfinder.papers.result import write

    write(result, experiment, out)
    return result


def judge(name: str, stored: Path | str) -> Result:
    """Make the tables and verdicts of an experiment anew from its stored numbers, without training.

    stored   a folder with results.json, whose table.md is written again; or a .json file of that
             content, and the page of the same name beside it

    Raises UserError for an unknown name, and where there are no numbers of this experiment.
    """
    from viewfinder.papers.result import read, write

    experiment = find(name)
    stored = Path(stored)
    content = read(stored, name)
    try:
        result: Result = _module(experiment).judge(content)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"the results.json of {stored} lacks numbers that {name} is judged by: {error!r}",
            fix=f"viewfinder reproduce {name}, which trains what is missing and writes them",
        ) from error
    write(result, experiment, stored)
    return result


def _module(experiment: Experiment) -> Any:
    return importlib.import_module(experiment.run.partition(":")[0])


def _device(experiment: Experiment) -> str:
    if not experiment.on_gpu:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
