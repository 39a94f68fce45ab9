"""The table of tables and figures: what can be reproduced, and the one function that does it.

Nothing heavy is imported until an experiment runs: listing the table is instant.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from viewfinder.errors import UserError, unknown
from viewfinder.papers.carl_experiments import CARL
from viewfinder.papers.experiment import RECIPES as RECIPES
from viewfinder.papers.experiment import Experiment as Experiment
from viewfinder.papers.minimal_sufficient_experiments import MINIMAL_SUFFICIENT

if TYPE_CHECKING:
    from viewfinder.papers.result import Result

Progress = Callable[[int, int, str], None]
"""Called with (runs finished, runs in all, what has just finished)."""


def silent(done: int, total: int, what: str) -> None:
    """The progress that nobody watches."""


_CI_INFONCE = (
    "Tsai, Li, Liu, Liao, Salakhutdinov, Morency 2021, "
    "Integrating Auxiliary Information in Self-supervised Learning"
)
_ATTRIBUTES = (
    "ci-infonce/ut-zappos50k-attributes",
    "ci-infonce/wider-attributes",
    "ci-infonce/cub200-attributes",
)
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
        Experiment(
            name="ci-infonce/table1",
            paper=_CI_INFONCE,
            item="Table 1",
            claim="Clusters from attributes, contrasted, make better features than instances and "
            "than the same clusters predicted, and less good ones than labels.",
            run="viewfinder.papers.ci_infonce_table1:run",
            minutes=7,
            quick_minutes=1,
            recipes=_ATTRIBUTES,
            on_gpu=True,
        ),
        Experiment(
            name="ci-infonce/fig3",
            paper=_CI_INFONCE,
            item="Figure 3",
            claim="Clusters with higher I(Z;T) and lower H(Z|T) lead to higher accuracy.",
            run="viewfinder.papers.ci_infonce_fig3:run",
            minutes=6,
            quick_minutes=1,
            recipes=("ci-infonce/ut-zappos50k-synthetic",),
            on_gpu=True,
        ),
        Experiment(
            name="ci-infonce/fig4",
            paper=_CI_INFONCE,
            item="Figure 4 and Table 2",
            claim="Without side information, k-means with CI-InfoNCE beats PCL, SwAV, SimCLR and "
            "MoCo, and its clusters come nearer to the labels than PCL's.",
            run="viewfinder.papers.ci_infonce_fig4:run",
            minutes=7,
            quick_minutes=1,
            recipes=(
                "ci-infonce/ut-zappos50k-kmeans",
                "ci-infonce/wider-kmeans",
                "ci-infonce/cub200-kmeans",
                "ci-infonce/imagenet100-kmeans",
            ),
            on_gpu=True,
        ),
        Experiment(
            name="ci-infonce/fig5",
            paper=_CI_INFONCE,
            item="Figure 5",
            claim="With the number k of attributes I(Z;T) and H(Z|T) rise, accuracy rises and "
            "falls, and is best where I(Z;T) - H(Z|T) is largest.",
            run="viewfinder.papers.ci_infonce_fig5:run",
            minutes=7,
            quick_minutes=1,
            recipes=_ATTRIBUTES,
            on_gpu=True,
        ),
        Experiment(
            name="ci-infonce/fig6",
            paper=_CI_INFONCE,
            item="Figure 6",
            claim="The deeper the level of the class tree that clusters come from, the better the "
            "features, and contrasting them beats predicting them.",
            run="viewfinder.papers.ci_infonce_fig6:run",
            minutes=6,
            quick_minutes=1,
            recipes=("ci-infonce/imagenet100-hierarchy", "ci-infonce/imagenet-hierarchy"),
            on_gpu=True,
        ),
        *CARL,
        *MINIMAL_SUFFICIENT,
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
    device: str | None = None,
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Run the experiment and write results.json, table.md and its figures into ``out``.

    Training runs that are finished are kept in ``out``/runs and used again, so an interrupted
    command continues where it was, and a repeated one only draws.

    seeds     how many seeds, 0 ... seeds - 1; the spread is over them
    quick     a shorter form, whose numbers are only a hint
    device    "cpu" or "cuda"; None: a GPU if there is one and the experiment gains by it
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


def _device(experiment: Experiment) -> str:
    if not experiment.on_gpu:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
