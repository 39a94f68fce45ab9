"""Figure 3 of CI-InfoNCE: accuracy over the plane of I(Z;T) and H(Z|T), synthetic clusters."""

from __future__ import annotations

import math
from pathlib import Path

from viewfinder.papers import ci_infonce as shared
from viewfinder.papers.compare import rank_correlation, trend
from viewfinder.papers.desk import Cell, Results, protocol, run_cells, stopped
from viewfinder.papers.registry import Progress, silent
from viewfinder.papers.result import Finding, Result, table
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


def run(
    out: Path,
    *,
    seeds: int = 3,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Train with each synthetic Z, draw the plane into ``out``/fig3.png, judge the claims."""
    chosen = QUICK if quick else CONFIGURATIONS
    grid = [*(cell(c) for c in chosen), *shared.baselines(shared.FASHION)]
    results = run_cells(
        grid,
        out,
        seeds=seeds,
        quick=quick,
        device=device,
        workers=workers,
        progress=progress,
    )
    from viewfinder.papers.ci_infonce_plot import plane

    known = shared.accuracies(results)
    names = [name_of(c) for c in chosen]
    plane(
        {n: (_h(results, n), _i(results, n), known[n]) for n in names},
        out / "fig3.png",
    )
    return Result(
        findings=findings(results),
        protocol=protocol(seeds, device, quick),
        numbers=shared.numbers(results, grid),
        figures=["fig3.png"],
        notes=[
            f"{len(chosen)} of the paper's 86 configurations, on fashion products; which 86 they "
            "were is not published",
            *stopped(results),
        ],
        tables=[_table(results)],
    )


def findings(results: Results) -> list[Finding]:
    """Higher I(Z;T) and lower H(Z|T) lead to higher accuracy: one at a time, and together."""
    known = shared.accuracies(results)
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
        for n, a in shared.accuracies(results).items()
        if a is not None and n.startswith("fix_")
    ]
    rho = rank_correlation(*map(list, zip(*points, strict=True))) if len(points) > 3 else math.nan
    if math.isnan(rho):
        return Finding(claim, f"{len(points)} points with a number", None)
    verdict = True if rho >= 0.7 else None if rho > 0 else False
    return Finding(claim, f"ρ {rho:+.2f} over {len(points)} points", verdict)


def _i(results: Results, name: str) -> float:
    return shared.of_clusters(results, name, "i")


def _h(results: Results, name: str) -> float:
    return shared.of_clusters(results, name, "h_z_given_t")


def _table(results: Results) -> str:
    known, top5 = shared.accuracies(results), shared.accuracies(results, "top5")
    rows = [
        [
            name,
            *(
                [f"{_i(results, name):.2f}", f"{_h(results, name):.2f}"]
                if name.startswith("fix_")
                else ["-", "-"]
            ),
            shared.percent(known[name]),
            shared.percent(top5[name]),
        ]
        for name in known
    ]
    return table(["clusters", "I(Z;T), bits", "H(Z\\|T), bits", "top-1", "top-5"], rows)
