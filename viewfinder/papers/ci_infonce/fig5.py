"""Figure 5 of CI-InfoNCE: accuracy, I(Z;T) and H(Z|T) against the number k of attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.claims import Claim, all_of, no_worse, peak
from viewfinder.papers.desk import Cell, accuracies, experiment, sets
from viewfinder.papers.result import Result, Results, percent, table

KS: Mapping[str, tuple[int, ...]] = {
    "fashion": (1, 2, 4, 6, 10, 20, 68),
    "shapes": (2, 6, 9, 15),
}
QUICK_KS = (2, 6, 20)
INSTANCES = "instances"
LARGEST, SCALED = "with the largest I(Z;T) - H(Z|T)", "where both, scaled to their ranges, meet"


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
    """The curves in fig5.png."""
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
        figures=["fig5.png"],
        notes=[
            "I(Z;T) and -H(Z|T) as such do not cross in the paper's own tables of UT-Zappos50K and "
            "Wider Attributes, so the figure's intersection is one of axes scaled differently: "
            "both readings are held against accuracy",
        ],
    )


def of(results: Results, name: str) -> list[int]:
    """The ks of a data set among the cells, ascending."""
    words = [full.partition(": ")[2] for full in results if full.startswith(f"{name}: ")]
    return sorted(int(word) for word in words if word.isdigit())


def claims(results: Results) -> list[Claim]:
    """The sentences of section 4.4 on Figure 5, for each data set."""
    return [one for name in sets(results) for one in _claims(results, name)]


def tables(results: Results) -> list[str]:
    """I(Z;T), H(Z|T) and accuracy of each k, and the ks that the rules take."""
    rows = [
        [name, word, by_rule, percent(accuracies(results).get(f"{name}: {by_rule}"))]
        for name in sets(results)
        for word, by_rule in rules(results, name).items()
    ]
    return [
        shared.clusters_table("set: k", results),
        table(["set", "rule", "k", "top-1"], rows),
    ]


def rules(results: Results, name: str) -> dict[str, int]:
    """The k that each rule takes, of those with clusters that are known.

    The largest I(Z;T) - H(Z|T); and where I(Z;T) / H(T), which rises from 0 to 1, passes
    1 - H(Z|T) / H(instance|T), which falls from 1 to 0: the figure's two curves, each on its axis.
    """
    both = {k: shared.of_clusters(results, f"{name}: {k}") for k in of(results, name)}
    known = {k: v for k, v in both.items() if not math.isnan(v[0])}
    h_t, finest = shared.of_clusters(results, f"{name}: {INSTANCES}")  # of instances I is H(T)
    if not known or math.isnan(h_t):
        return {}

    def gap(k: int) -> float:
        i, h = known[k]
        return abs(i / h_t - (1 - h / finest))

    return {
        LARGEST: max(sorted(known), key=lambda k: known[k][0] - known[k][1]),
        SCALED: min(sorted(known), key=gap),
    }


def _claims(results: Results, name: str) -> list[Claim]:
    known = accuracies(results)
    ks = of(results, name)
    both = {k: shared.of_clusters(results, f"{name}: {k}") for k in ks}
    rise = [all(both[b][j] >= both[a][j] for a, b in pairwise(ks)) for j in (0, 1)]
    ends = [f"{both[ks[0]][j]:.2f} to {both[ks[-1]][j]:.2f} bits" for j in (0, 1)]
    points = [(float(k), f"{name}: {k}", known[f"{name}: {k}"]) for k in ks]
    return [
        Claim(
            f"{name}: with k both I(Z;T) and H(Z|T) rise",
            found=f"{ends[0]}; {ends[1]}",
            fact=all(rise),
        ),
        Claim(f"{name}: accuracy first rises with k, then falls", peak(points)),
        *(
            Claim(
                f"{name}: no k is better than the one {word}",
                all_of([no_worse(known, f"{name}: {own}", f"{name}: {k}") for k in ks if k != own]),
                f"k = {own}",
            )
            for word, own in rules(results, name).items()
        ),
    ]


run, judge = experiment(grid, report, claims, tables)
