"""Figure 3 of CI-InfoNCE: accuracy over the plane of I(Z;T) and H(Z|T), synthetic clusters."""

from __future__ import annotations

import math
from pathlib import Path

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.compare import rank_correlation, trend
from viewfinder.papers.desk import Cell, Results, accuracies, experiment
from viewfinder.papers.result import Finding, Result
from viewfinder.positives.synthetic import Configuration

# Of 54 classes of 74 images: merged by 2^level; split into pieces of 2^level (7: whole classes);
# whole classes, with the clusters of so many of them shuffled.
CONFIGURATIONS = (
    Configuration("fix_conditional", 0),
    Configuration("fix_conditional", 2),
    Configuration("fix_conditional", 3),
    Configuration("fix_conditional", 4),
    Configuration("fix_information", 0),
    Configuration("fix_information", 2),
    Configuration("fix_information", 4),
    Configuration("fix_information", 5),
    Configuration("fix_entropy", 7, 18),
    Configuration("fix_entropy", 7, 36),
    Configuration("fix_entropy", 7, 54),
)
QUICK = (  # of 27 or 28 images a class, so level 5 is whole classes
    Configuration("fix_conditional", 0),
    Configuration("fix_conditional", 4),
    Configuration("fix_information", 0),
    Configuration("fix_information", 3),
    Configuration("fix_entropy", 5, 36),
)


def name_of(configuration: Configuration) -> str:
    """A short name of a configuration."""
    family, level, shuffled = configuration
    return f"{family} {level}" + (f", {shuffled} shuffled" if shuffled else "")


def cell(configuration: Configuration) -> Cell:
    """CI-InfoNCE with the clusters of a configuration."""
    family, level, shuffled = configuration
    z = {"name": "synthetic", "family": family, "level": level, "shuffled": shuffled}
    return shared.ci_infonce(name_of(configuration), shared.FASHION, z)


def cells(quick: bool = False) -> list[Cell]:
    """CI-InfoNCE with the clusters of all configurations, and the baselines."""
    chosen = QUICK if quick else CONFIGURATIONS
    return [*(cell(c) for c in chosen), *shared.baselines(shared.FASHION)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """The plane in fig3.png, the claims, the table."""
    from viewfinder.papers.ci_infonce.plot import plane

    known = accuracies(results)
    names = [name for name in results if name.startswith("fix_")]
    plane(
        {n: (_h(results, n), _i(results, n), known[n]) for n in names},
        out / "fig3.png",
    )
    return Result(
        findings=findings(results),
        figures=["fig3.png"],
        notes=[
            f"{len(names)} of the paper's 86 configurations, on fashion products; which 86 they "
            "were is not published",
        ],
        tables=[shared.clusters_table("clusters", results)],
    )


run = experiment(cells, report)


def findings(results: Results) -> list[Finding]:
    """Higher I(Z;T) and lower H(Z|T) lead to higher accuracy: one at a time, and together."""
    known = accuracies(results)
    labels = name_of(Configuration("fix_conditional", 0))

    def family(word: str) -> list[str]:
        return [n for n in known if n.startswith(word) or n == labels]

    merged, split = family("fix_conditional"), family("fix_information")
    found = [
        trend(
            "with H(Z|T) = 0, accuracy rises with I(Z;T)",
            [(_i(results, n), known[n]) for n in merged],
            rising=True,
            what="I",
        ),
        trend(
            "with I(Z;T) = H(T), accuracy falls as H(Z|T) rises",
            [(_h(results, n), known[n]) for n in split],
            rising=False,
            what="H",
        ),
        trend(
            "with H(Z) kept, accuracy falls as I(Z;T) falls and H(Z|T) rises",
            [(_h(results, n), known[n]) for n in family("fix_entropy")],
            rising=False,
            what="H",
        ),
    ]
    return [*found, _together(results)]


def _together(results: Results) -> Finding:
    claim = "over all clusters, higher I(Z;T) - H(Z|T) means higher accuracy"
    points = [
        (_i(results, n) - _h(results, n), a.mean)
        for n, a in accuracies(results).items()
        if a is not None and n.startswith("fix_")
    ]
    rho = rank_correlation(*map(list, zip(*points, strict=True))) if len(points) > 3 else math.nan
    if math.isnan(rho):
        return Finding(claim, f"{len(points)} points with a number", None)
    verdict = True if rho >= 0.7 else None if rho > 0 else False
    return Finding(claim, f"ρ {rho:+.2f} over {len(points)} points", verdict)


def _i(results: Results, name: str) -> float:
    return shared.of_clusters(results, name)[0]


def _h(results: Results, name: str) -> float:
    return shared.of_clusters(results, name)[1]
