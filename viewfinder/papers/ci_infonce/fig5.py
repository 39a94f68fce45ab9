"""Figure 5 of CI-InfoNCE: accuracy, I(Z;T) and H(Z|T) against the number k of attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.compare import beyond, peak_inside
from viewfinder.papers.desk import Cell, Results, accuracies, experiment, sets
from viewfinder.papers.result import Finding, Result, Spread

KS: Mapping[str, tuple[int, ...]] = {
    "fashion": (1, 2, 4, 6, 10, 20, 68),
    "shapes": (2, 6, 9, 15),
}
QUICK_KS = (2, 6, 20)
INSTANCES = "instances"


def cells(name: str, ks: Sequence[int]) -> list[Cell]:
    """CI-InfoNCE for each k on one data set, and instances for comparison."""
    data = shared.FASHION if name == "fashion" else shared.SHAPES
    train = shared.open_desk(data).train
    assert train.attributes is not None
    wanted = shared.FASHION_ATTRIBUTES if name == "fashion" else train.attributes.names
    attributes = shared.usable(train.attributes, wanted)
    made = [
        shared.ci_infonce(f"{name}: {k}", data, shared.attribute_clusters(attributes, k))
        for k in ks
    ]
    return [
        *made,
        shared.simclr(f"{name}: {INSTANCES}", data),
        *shared.baselines(data, f"{name}: "),
    ]


def grid(quick: bool = False) -> list[Cell]:
    """The cells of both data sets; quick: fewer ks, fashion products alone."""
    chosen = {"fashion": QUICK_KS} if quick else KS
    return [one for name, ks in chosen.items() for one in cells(name, ks)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """The curves in fig5.png, the claims, the table."""
    from viewfinder.papers.ci_infonce.plot import against_k

    known = accuracies(results)
    against_k(
        {
            name: (
                {
                    k: (known[f"{name}: {k}"], *shared.of_clusters(results, f"{name}: {k}"))
                    for k in of(results, name)
                },
                known[f"{name}: {INSTANCES}"],
            )
            for name in sets(results)
        },
        out / "fig5.png",
    )
    return Result(
        findings=[f for name in sets(results) for f in findings(results, name)],
        figures=["fig5.png"],
        notes=[
            "I(Z;T) and -H(Z|T) as such do not cross in the paper's own tables of UT-Zappos50K and "
            "Wider Attributes, so the figure's intersection is one of axes scaled differently; "
            "the largest I(Z;T) - H(Z|T) is what is checked",
        ],
        tables=[shared.clusters_table("set: k", results)],
    )


run = experiment(grid, report)


def of(results: Results, name: str) -> list[int]:
    """The ks of a data set among the cells, ascending."""
    words = [full.partition(": ")[2] for full in results if full.startswith(f"{name}: ")]
    return sorted(int(word) for word in words if word.isdigit())


def findings(results: Results, name: str) -> list[Finding]:
    """The sentences of section 4.4 on Figure 5, for one data set."""
    known = accuracies(results)
    ks = of(results, name)
    points: list[tuple[float, Spread | None]] = [(k, known[f"{name}: {k}"]) for k in ks]
    both = {k: shared.of_clusters(results, f"{name}: {k}") for k in ks}
    rising = [all(both[b][j] >= both[a][j] for a, b in pairwise(ks)) for j in (0, 1)]
    ends = [f"{both[ks[0]][j]:.2f} to {both[ks[-1]][j]:.2f} bits" for j in (0, 1)]
    return [
        Finding(
            f"{name}: with k both I(Z;T) and H(Z|T) rise", f"{ends[0]}; {ends[1]}", all(rising)
        ),
        peak_inside(f"{name}: accuracy first rises with k, then falls", points, "k"),
        _rule(name, points, both),
    ]


def _rule(
    name: str,
    points: Sequence[tuple[float, Spread | None]],
    both: Mapping[int, tuple[float, float]],
) -> Finding:
    """The best k is the one with the largest I - H: it is, or is within the spread of the best."""
    claim = f"{name}: the largest I(Z;T) - H(Z|T) is at the best k"
    known = {int(k): a for k, a in points if a is not None}
    sound = {k: v for k, v in both.items() if k in known and v == v}
    if not sound:
        return Finding(claim, "no numbers", None)
    by_rule = max(sorted(sound), key=lambda k: sound[k][0] - sound[k][1])
    best = max(known, key=lambda k: known[k].mean)
    found = f"k = {by_rule} by the rule: {known[by_rule]}; best k = {best}: {known[best]}"
    if by_rule == best:
        return Finding(claim, found, True)
    worse = beyond(known[best], known[by_rule])
    return Finding(claim, found, False if worse else None)
