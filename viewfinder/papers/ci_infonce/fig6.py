"""Figure 6 of CI-InfoNCE: clusters from a level of WordNet's tree, contrasted or predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.claims import Claim, all_of, better, rising
from viewfinder.papers.desk import Cell, accuracies, experiment
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Result, Results

LEVELS = (3, 5, 7, 9, 12)  # the root is 1; 50 classes at 4 to 12, so 12 is the labels
QUICK_LEVELS = (3, 7, 12)
TREE = f"{ROOT}/tiny_imagenet50_hier/train.npz"
INSTANCES = "instances (SimCLR)"
BY_CONTRAST, BY_PREDICTION = "CI-InfoNCE", "cross-entropy"


def levels_of(quick: bool) -> tuple[int, ...]:
    """The levels that are trained with."""
    return QUICK_LEVELS if quick else LEVELS


def name_of(kind: str, level: int) -> str:
    """The name of a cell."""
    return f"level {level}, {kind}"


def cells(levels: Sequence[int]) -> list[Cell]:
    """Both objectives for every level, instances, and the baselines."""
    data = shared.TINY_IMAGENET
    made = []
    for level in levels:
        z = {"name": "hierarchy", "level": level, "file": TREE}
        made += [
            shared.ci_infonce(name_of(BY_CONTRAST, level), data, z),
            shared.predicted(name_of(BY_PREDICTION, level), data, z),
        ]
    return [*made, shared.simclr(INSTANCES, data), *shared.baselines(data)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """The three panels in fig6.png."""
    from viewfinder.papers.ci_infonce.plot import against_level

    levels = levels_of(quick)
    known = accuracies(results)
    against_level(
        {
            kind: {level: known[name_of(kind, level)] for level in levels}
            for kind in (BY_CONTRAST, BY_PREDICTION)
        },
        {level: shared.of_clusters(results, name_of(BY_CONTRAST, level)) for level in levels},
        (known[INSTANCES], *shared.of_clusters(results, INSTANCES)),
        out / "fig6.png",
    )
    return Result(
        figures=["fig6.png"],
        notes=[
            "a class above a level is its own cluster there, as in the paper's code; level "
            f"{LEVELS[-1]} is the labels, so its rows are SupCon and the supervised network",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """The sentences of section 4.5."""
    known = accuracies(results)
    levels = _levels(results)
    contrast = [name_of(BY_CONTRAST, level) for level in levels]
    h = {n: shared.of_clusters(results, n)[1] for n in contrast}
    information = {n: shared.of_clusters(results, n)[0] for n in (*contrast, INSTANCES)}
    against = [(name_of(BY_CONTRAST, x), name_of(BY_PREDICTION, x)) for x in levels]
    return [
        Claim(
            "at every level clusters are contrasted better than predicted",
            all_of([better(known, a, b) for a, b in against]),
        ),
        Claim(
            "accuracy rises with the level",
            rising(
                [(float(x), n, known[n]) for x, n in zip(levels, contrast, strict=True)],
                over="level",
            ),
        ),
        Claim(
            "H(Z|T) is zero at every level",
            found=f"at most {max(h.values()):.3f} bits",
            fact=max(h.values()) < 1e-9,
        ),
        Claim(
            "instances have the highest I(Z;T), as high as labels",
            found=f"{information[INSTANCES]:.3f} bits against at most "
            f"{max(information[n] for n in contrast):.3f}",
            fact=information[INSTANCES] >= max(information.values()) - 1e-9,
        ),
        Claim(
            "yet instances are the worst of all",
            all_of([better(known, n, INSTANCES) for n in contrast]),
        ),
    ]


def tables(results: Results) -> list[str]:
    """I(Z;T), H(Z|T) and accuracy of all rows."""
    return [shared.clusters_table("clusters", results)]


def _levels(results: Results) -> list[int]:
    words = [name.partition(", ") for name in results]
    return sorted({int(level.split()[1]) for level, _, kind in words if kind == BY_CONTRAST})


run, judge = experiment(lambda quick: cells(levels_of(quick)), report, claims, tables)
