"""Figure 4 of CI-InfoNCE: without any side information, k-means clusters and what they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.claims import Claim, Part, Statement, all_of, better, on_par, rising
from viewfinder.papers.desk import (
    COMMON,
    Cell,
    Overrides,
    accuracies,
    experiment,
)
from viewfinder.papers.judgement import OPEN, above, every
from viewfinder.papers.result import Result, Results, Spread, percent, table

EPOCHS = 20
K = 100  # 40 images a cluster: the paper has 35 (UT-Zappos50K) to 51 (ImageNet-100)
WATCH = ("viewfinder.papers.desk_train:ClusterInformation",)

OURS, PCL, SWAV, SIMCLR, MOCO = "k-means + CI-InfoNCE", "PCL", "SwAV", "SimCLR", "MoCo"
PAPER = {OURS: "77.9", PCL: "68.9", SWAV: "68.5", SIMCLR: "58.2", MOCO: "59.4"}

Curve = Sequence[float]


def cells() -> list[Cell]:
    """The five methods and the baselines.

    PCL clusters before every epoch like ours, with as many clusters (its paper has a warm-up of
    some epochs without, and several clusterings), and has a queue as long as MoCo's: the
    comparison is between the objectives.
    """
    length: Any = {"epochs": EPOCHS}
    data = shared.FASHION
    return [
        shared.ci_infonce(OURS, data, {"name": "kmeans", "k": K}, watch=WATCH, **length),
        shared.cell(
            PCL,
            "pcl",
            data,
            {"name": "kmeans", "k": [K], "start": 0},
            watch=WATCH,
            negatives=shared.QUEUE,
            **length,
        ),
        shared.cell(SWAV, "swav", data, objective={"prototypes": K}, **length),
        shared.simclr(SIMCLR, data, **length),
        shared.moco(MOCO, data, **length),
        *shared.baselines(data),
    ]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracies and curves in fig4.png."""
    from viewfinder.papers.ci_infonce.plot import methods_and_curves

    drawn = {n: {key: curves(results, n, key) for key in KEYS} for n in (OURS, PCL) if n in results}
    methods_and_curves(accuracies(results), drawn, out / "fig4.png")
    return Result(
        figures=["fig4.png"],
        notes=[f"k = {K}, clustered before every epoch"],
    )


KEYS = ("i", "h_z_given_t")


def curves(results: Results, name: str, key: str) -> list[Curve]:
    """I(Z;T) or H(Z|T) by epoch, one curve per seed; of several clusterings the first."""
    return [
        [epoch[0][key] for epoch in run["watched"].get("ClusterInformation", [])]
        for run in results[name]
    ]


def claims(results: Results) -> list[Claim]:
    """The sentences of section 4.3 and appendix D.

    That PCL is better than SimCLR and MoCo the paper says of ImageNet-100 alone.
    """
    known = accuracies(results)
    found = [
        Claim(
            "k-means + CI-InfoNCE is the best of all",
            all_of([better(known, OURS, other) for other in (PCL, SWAV, SIMCLR, MOCO)]),
        ),
        Claim(
            "PCL, SimCLR and MoCo are about alike (but on ImageNet-100)",
            all_of([on_par(known, PCL, other) for other in (SIMCLR, MOCO)]),
        ),
        Claim("SwAV is about as good as PCL", on_par(known, SWAV, PCL)),
    ]
    words = {"i": ("I(Z;T) rises", 1), "h_z_given_t": ("H(Z|T) falls", -1)}
    for name in (OURS, PCL):
        for key, (text, sign) in words.items():
            found.append(Claim(f"{name}: {text} over the epochs", _trend(results, name, key, sign)))
    return [
        *found,
        Claim("k-means + CI-InfoNCE has the higher I(Z;T) at all epochs", _above(results, "i", 1)),
        Claim(
            "k-means + CI-InfoNCE has the lower H(Z|T) at all epochs",
            _above(results, "h_z_given_t", -1),
        ),
    ]


def barred(recipes: Mapping[str, Overrides]) -> dict[str, str]:
    """PCL against a queue of another length is no comparison of objectives."""
    sizes = {name: queue_size(recipes[name]) for name in (PCL, MOCO) if name in recipes}
    if len(set(sizes.values())) < 2:
        return {}
    return {PCL: f"its queue is of {sizes[PCL]} keys, MoCo's of {sizes[MOCO]}"}


def queue_size(recipe: Overrides) -> int:
    """The length of the queue that a recipe has."""
    from viewfinder.recipes.recipe import build, merge

    options: Any = build(None, merge(COMMON, recipe)).negatives.options()
    return int(options.size)


def _trend(results: Results, name: str, key: str, sign: int) -> Statement:
    """From the second epoch's clustering on: the first is of the untrained network."""
    runs = [run for run in curves(results, name, key) if len(run) > 3]
    if len(runs) < len(results[name]):
        return _missing(name)
    epochs = zip(*(run[1:] for run in runs), strict=True)
    points = [(float(e), name, Spread(tuple(values))) for e, values in enumerate(epochs, 2)]
    return rising(points, over="epoch", sign=sign, unit="bits")


def _above(results: Results, key: str, sign: int) -> Statement:
    """At all epochs but the first, of the untrained network; the closest is shown."""
    ours, pcl = (np.array(curves(results, name, key)) for name in (OURS, PCL))
    if ours.shape != pcl.shape or ours.ndim != 2 or ours.shape[1] < 2:
        return _missing(OURS, PCL)
    gains = sign * (ours - pcl)[:, 1:]
    closest = int(gains.mean(axis=0).argmin())
    part = Part(f"least, at epoch {closest + 2}", tuple(gains[:, closest].tolist()), "bits")
    return Statement(every([above(gain) for gain in gains.T]), (part,), (OURS, PCL))


def _missing(*names: str) -> Statement:
    return Statement(OPEN, (), names, names)


def tables(results: Results) -> list[str]:
    """Top-1 and top-5, beside the paper's."""
    top1, top5 = accuracies(results), accuracies(results, "top5")
    rows = [[name, percent(top1[name]), percent(top5[name]), PAPER.get(name, "-")] for name in top1]
    return [table(["method", "top-1", "top-5", "the paper's top-1 (ImageNet-100)"], rows)]


run, judge = experiment(lambda quick: cells(), report, claims, tables, barred)
