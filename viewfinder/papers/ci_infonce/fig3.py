"""Figure 3 of CI-InfoNCE: accuracy over the plane of I(Z;T) and H(Z|T), synthetic clusters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.claims import Claim, Points, Statement, all_of, exceeds, rising
from viewfinder.papers.desk import Cell, accuracies, experiment
from viewfinder.papers.judgement import OPEN
from viewfinder.papers.result import Result, Results, Spread
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
    """The plane in fig3.png."""
    from viewfinder.papers.ci_infonce.plot import plane

    known = accuracies(results)
    names = [name for name in results if name.startswith("fix_")]
    plane(
        {n: (_h(results, n), _i(results, n), known[n]) for n in names},
        out / "fig3.png",
    )
    return Result(
        figures=["fig3.png"],
        notes=[
            f"{len(names)} of the paper's 86 configurations, on fashion products; which 86 they "
            "were is not published",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """Higher I(Z;T) and lower H(Z|T) lead to higher accuracy: one at a time, and together."""
    known = accuracies(results)
    labels = name_of(Configuration("fix_conditional", 0))

    def family(word: str, x: Callable[[Results, str], float]) -> Points:
        names = [n for n in known if n.startswith(word) or n == labels]
        return [(x(results, n), n, known[n]) for n in names]

    words = "bit of H(Z|T)"
    return [
        Claim(
            "with H(Z|T) = 0, accuracy rises with I(Z;T)",
            rising(family("fix_conditional", _i), over="bit of I(Z;T)"),
        ),
        Claim(
            "with I(Z;T) = H(T), accuracy falls as H(Z|T) rises",
            rising(family("fix_information", _h), over=words, sign=-1),
        ),
        Claim(
            "with H(Z) kept, accuracy falls as I(Z;T) falls and H(Z|T) rises",
            rising(family("fix_entropy", _h), over=words, sign=-1),
        ),
        _dominance(results),
        _regression(results),
    ]


def tables(results: Results) -> list[str]:
    """I(Z;T), H(Z|T) and accuracy of all clusters."""
    return [shared.clusters_table("clusters", results)]


def _trained(results: Results) -> dict[str, Spread]:
    return {n: a for n, a in accuracies(results).items() if a is not None and n.startswith("fix_")}


def _dominance(results: Results) -> Claim:
    """Where one clustering has both, more I(Z;T) and less H(Z|T), the order is not in doubt."""
    text = "of two clusterings, the one with more I(Z;T) and less H(Z|T) has the higher accuracy"
    known = _trained(results)
    place = {n: (round(_i(results, n), 6), -round(_h(results, n), 6)) for n in known}
    pairs = [
        (a, b)
        for a, b in permutations(known, 2)
        if all(x >= y for x, y in zip(place[a], place[b], strict=True)) and place[a] != place[b]
    ]
    if not pairs:
        return Claim(text, Statement(OPEN, (), tuple(known), tuple(known)))
    gains = np.array([np.subtract(known[a].values, known[b].values) for a, b in pairs])
    agree = int((gains.mean(axis=1) > 0).sum())
    return Claim(
        text,
        exceeds("mean over the pairs", gains.mean(axis=0).tolist(), tuple(known)),
        f"so in {agree} of {len(pairs)} pairs",
    )


def _regression(results: Results) -> Claim:
    """Accuracy on both at once, by least squares, a plane for each seed."""
    known = _trained(results)
    design = np.array([[1.0, _i(results, n), _h(results, n)] for n in known])
    text = "regressed on both, accuracy rises with I(Z;T) and falls with H(Z|T)"
    if len(known) < 4 or np.linalg.matrix_rank(design) < 3:
        return Claim(text, Statement(OPEN, (), tuple(known), tuple(known)))
    accuracy = np.array([spread.values for spread in known.values()])
    _, up, down = np.linalg.lstsq(design, accuracy, rcond=None)[0]
    both = [
        exceeds("per bit of I(Z;T)", up.tolist(), tuple(known)),
        exceeds("per bit less of H(Z|T)", (-down).tolist(), tuple(known)),
    ]
    return Claim(text, all_of(both))


def _i(results: Results, name: str) -> float:
    return shared.of_clusters(results, name)[0]


def _h(results: Results, name: str) -> float:
    return shared.of_clusters(results, name)[1]


run, judge = experiment(cells, report, claims, tables)
