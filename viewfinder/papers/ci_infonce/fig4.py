"""Figure 4 of CI-InfoNCE: without any side information, k-means clusters and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.compare import all_of, each_beyond, near, ordered, rank_correlation
from viewfinder.papers.desk import Cell, Results, accuracies, experiment
from viewfinder.papers.result import Finding, Result, Spread, percent, table

EPOCHS = 20
K = 100  # 40 images a cluster: the paper has 35 (UT-Zappos50K) to 51 (ImageNet-100)
WATCH = ("viewfinder.papers.desk_train:ClusterInformation",)

OURS, PCL, SWAV, SIMCLR, MOCO = "k-means + CI-InfoNCE", "PCL", "SwAV", "SimCLR", "MoCo"
PAPER = {OURS: "77.9", PCL: "68.9", SWAV: "68.5", SIMCLR: "58.2", MOCO: "59.4"}

Curve = Sequence[float]


def cells() -> list[Cell]:
    """The five methods and the baselines.

    PCL clusters before every epoch like ours, with as many clusters (its paper has a warm-up of
    some epochs without, and several clusterings): the comparison is between the objectives.
    """
    length: Any = {"epochs": EPOCHS}
    data = shared.FASHION
    return [
        shared.ci_infonce(OURS, data, {"name": "kmeans", "k": K}, watch=WATCH, **length),
        shared.cell(
            PCL, "pcl", data, {"name": "kmeans", "k": [K], "start": 0}, watch=WATCH, **length
        ),
        shared.cell(SWAV, "swav", data, objective={"prototypes": K}, **length),
        shared.simclr(SIMCLR, data, **length),
        shared.moco(MOCO, data, **length),
        *shared.baselines(data),
    ]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracies and curves in fig4.png, the claims, the table."""
    from viewfinder.papers.ci_infonce.plot import methods_and_curves

    drawn = {n: {key: curves(results, n, key) for key in KEYS} for n in (OURS, PCL) if n in results}
    methods_and_curves(accuracies(results), drawn, out / "fig4.png")
    return Result(
        findings=findings(results),
        figures=["fig4.png"],
        notes=[f"k = {K}, clustered before every epoch"],
        tables=[_table(results)],
    )


run = experiment(lambda quick: cells(), report)


KEYS = ("i", "h_z_given_t")


def curves(results: Results, name: str, key: str) -> list[Curve]:
    """I(Z;T) or H(Z|T) by epoch, one curve per seed; of several clusterings the first."""
    return [
        [epoch[0][key] for epoch in run["watched"].get("ClusterInformation", [])]
        for run in results[name]
    ]


def findings(results: Results) -> list[Finding]:
    """The sentences of section 4.3 and appendix D."""
    known = accuracies(results)
    others = [n for n in (PCL, SWAV, SIMCLR, MOCO) if n in known]
    found = [
        each_beyond(
            "k-means + CI-InfoNCE is the best of all", known, [(OURS, other) for other in others]
        )
    ]
    if PCL in known:
        found.append(ordered("PCL is better than SimCLR (ImageNet-100)", known, [PCL, SIMCLR]))
    if SWAV in known and PCL in known:
        found.append(_similar(known[SWAV], known[PCL]))
    for name in (n for n in (OURS, PCL) if n in known):
        found += [
            _trend(f"{name}: I(Z;T) rises over the epochs", curves(results, name, "i"), 1),
            _trend(f"{name}: H(Z|T) falls over the epochs", curves(results, name, KEYS[1]), -1),
        ]
    if OURS in known and PCL in known:
        found += [
            _above("k-means + CI-InfoNCE has the higher I(Z;T) at all epochs", results, "i", 1),
            _above("k-means + CI-InfoNCE has the lower H(Z|T) at all epochs", results, KEYS[1], -1),
        ]
    return found


def _similar(a: Spread | None, b: Spread | None) -> Finding:
    claim = "SwAV is about as good as PCL"
    alike = None if a is None or b is None else near(a, b)
    words = "" if alike is None else " (within the spread, or a hundredth)"
    return Finding(claim, f"{a} and {b}{words}", alike)


def _trend(claim: str, runs: Sequence[Curve], sign: int) -> Finding:
    """Whether the curve goes that way for every seed: by ranks, and from the second epoch's
    clustering (the first is of the untrained network) to the last."""
    known = [run for run in runs if len(run) > 2]
    if not known:
        return Finding(claim, "too few epochs", None)
    change = [run[-1] - run[1] for run in known]
    rho = [rank_correlation(range(1, len(run)), run[1:]) for run in known]
    found = ", ".join(f"{run[0]:.2f} -> {run[1]:.2f} -> {run[-1]:.2f}" for run in known)
    right = [c * sign > 0 and r * sign > 0 for c, r in zip(change, rho, strict=True)]
    words = f"bits of the 1st, 2nd, last clustering: {found} (ρ {min(rho):+.2f} to {max(rho):+.2f})"
    return Finding(claim, words, all(right) or (None if any(right) else False))


def _above(claim: str, results: Results, key: str, sign: int) -> Finding:
    """Whether one method's curve is on the better side at all epochs but the first, where both
    cluster an untrained network; by seed."""
    pairs: list[tuple[Any, Any]] = list(
        zip(curves(results, OURS, key), curves(results, PCL, key), strict=True)
    )
    shares = [
        sum((a - b) * sign > 0 for a, b in zip(ours[1:], pcl[1:], strict=True)) / (len(ours) - 1)
        for ours, pcl in pairs
        if len(ours) == len(pcl) > 1
    ]
    if not shares:
        return Finding(claim, "not known", None)
    verdict = all_of([True if s == 1 else False if s < 0.5 else None for s in shares])
    return Finding(claim, f"at {', '.join(f'{s:.0%}' for s in shares)} of the epochs", verdict)


def _table(results: Results) -> str:
    top1, top5 = accuracies(results), accuracies(results, "top5")
    rows = [[name, percent(top1[name]), percent(top5[name]), PAPER.get(name, "-")] for name in top1]
    return table(["method", "top-1", "top-5", "the paper's top-1 (ImageNet-100)"], rows)
