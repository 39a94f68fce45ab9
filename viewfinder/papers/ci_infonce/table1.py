"""Table 1 of CI-InfoNCE: labels, attributes and instances as clusters, contrasted or predicted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.papers.ci_infonce import shared
from viewfinder.papers.claims import Claim, in_order
from viewfinder.papers.desk import (
    UNTRAINED,
    Cell,
    Overrides,
    accuracies,
    experiment,
    of_set,
    sets,
)
from viewfinder.papers.result import PIXELS, Result, Results, percent, table

SETS = ("fashion", "shapes")
KS = (1, 2, 3, 4, 5, 6, 8, 10, 15)

CE, SUPCON = "cross-entropy on labels", "SupCon (labels + CI-InfoNCE)"
CE_Z, CI = "cross-entropy on attribute clusters", "attribute clusters + CI-InfoNCE"
MOCO, SIMCLR = "MoCo", "SimCLR (instances + CI-InfoNCE)"
ROWS = (CE, SUPCON, CE_Z, CI, MOCO, SIMCLR, UNTRAINED, PIXELS)

# The paper's numbers, top-1 in percent: UT-Zappos50K, Wider Attributes, CUB-200-2011.
PAPER: Mapping[str, str] = {
    CE: "89.2 / 44.7 / 60.5",
    SUPCON: "89.0 / 49.9 / 59.9",
    CE_Z: "82.7 / 39.4 / 17.5",
    CI: "84.6 / 45.5 / 20.6",
    MOCO: "83.4 / 41.0 / 13.8",
    SIMCLR: "77.8 / 40.2 / 14.1",
}


def data_of(name: str) -> Overrides:
    """The data part of a set, "fashion" or "shapes"."""
    return shared.FASHION if name == "fashion" else shared.SHAPES


def clusters(name: str) -> tuple[int, dict[str, Any]]:
    """For one data set the k of the largest I(Z;T) - H(Z|T), and the positives part with it."""
    train = shared.open_desk(data_of(name)).train
    assert train.attributes is not None and train.labels is not None
    wanted = shared.FASHION_ATTRIBUTES if name == "fashion" else train.attributes.names
    attributes = shared.usable(train.attributes, wanted)
    k = shared.best_k({k: shared.measured(attributes, train.labels, k) for k in KS})
    return k, shared.attribute_clusters(attributes, k)


def cells(name: str) -> list[Cell]:
    """The rows for one data set."""
    data, labels = data_of(name), {"name": "labels"}
    _, z = clusters(name)
    return [
        shared.predicted(f"{name}: {CE}", data, labels),
        shared.cell(f"{name}: {SUPCON}", "supcon", data, labels, objective=shared.CONTRASTIVE),
        shared.predicted(f"{name}: {CE_Z}", data, z),
        shared.ci_infonce(f"{name}: {CI}", data, z),
        shared.moco(f"{name}: {MOCO}", data),
        shared.simclr(f"{name}: {SIMCLR}", data),
        *shared.baselines(data, f"{name}: "),
    ]


def grid(quick: bool = False) -> list[Cell]:
    """The rows of both data sets; quick: of fashion products alone."""
    return [one for name in (SETS[:1] if quick else SETS) for one in cells(name)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Top-1 in table1.png."""
    from viewfinder.papers.ci_infonce.plot import bars

    bars({name: accuracies(of_set(results, name)) for name in sets(results)}, out / "table1.png")
    return Result(
        figures=["table1.png"],
        notes=[_choice(name) for name in sets(results)],
    )


def claims(results: Results) -> list[Claim]:
    """The sentences of section 4.4 on Table 1, for the rows of each data set."""
    known = accuracies(results)
    wanted = {
        "accuracy grows from instances to attribute clusters to labels": (SUPCON, CI, SIMCLR),
        "attribute clusters are contrasted better than predicted": (CI, CE_Z),
        "attribute clusters with CI-InfoNCE are better than MoCo": (CI, MOCO),
    }
    return [
        Claim(f"{name}: {words}", in_order(known, [f"{name}: {row}" for row in rows]))
        for name in sets(results)
        for words, rows in wanted.items()
    ]


def _choice(name: str) -> str:
    """How the clusters of a data set were chosen."""
    k, z = clusters(name)
    return (
        f"{name}: k = {k} columns ({', '.join(z['columns'])}), the largest I(Z;T) - H(Z|T), chosen "
        "before training (the paper takes the k of the best accuracy)"
    )


def tables(results: Results) -> list[str]:
    """Top-1 and top-5 of each data set, beside the paper's."""
    top1, top5 = accuracies(results), accuracies(results, "top5")
    lines: list[list[Any]] = [
        [
            row,
            *(
                percent(spread.get(f"{name}: {row}"))
                for name in sets(results)
                for spread in (top1, top5)
            ),
            PAPER.get(row, "-"),
        ]
        for row in ROWS
    ]
    heads = [f"{name} {measure}" for name in sets(results) for measure in ("top-1", "top-5")]
    return [table(["features", *heads, "the paper's top-1 (UT-Zap / Wider / CUB)"], lines)]


run, judge = experiment(grid, report, claims, tables)
