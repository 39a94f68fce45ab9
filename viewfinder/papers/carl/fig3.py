"""Figure 3 of CARL: accuracy against the number of prototypes."""

from __future__ import annotations

from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.claims import Claim, all_of, no_worse, peak
from viewfinder.papers.desk import UNTRAINED, Cell, accuracies, experiment
from viewfinder.papers.result import (
    PIXELS,
    Result,
    Results,
    Spread,
    percent,
    table,
)

KS = (3, 10, 30, 100, 300, 1000)
QUICK_KS = (10, 100, 1000)
DATA, CLASSES = shared.CIFAR, 10
WEIGHTS = {"weight": 4.0, "final_weight": 1.5}  # the paper's b and a on CIFAR


def name_of(k: int) -> str:
    return f"{k} prototypes"


def cells(quick: bool = False) -> list[Cell]:
    """CARL with each number of prototypes, and the baselines."""
    made = [
        shared.carl(name_of(k), DATA, {"prototypes": k, **WEIGHTS})
        for k in (QUICK_KS if quick else KS)
    ]
    return [*made, *shared.baselines(DATA)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy over the number of prototypes in fig3.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    known = accuracies(results)
    panel = Panel(
        title="number of prototypes",
        x="prototypes",
        curves={"CARL": dict(points(results))},
        levels={row: known[row] for row in (UNTRAINED, PIXELS)},
        log=True,
    )
    curves([panel], out / "fig3.png")
    return Result(
        figures=["fig3.png"],
        notes=[
            "with more prototypes than images in a batch (128) not all can be used in one step, so "
            "the divergence from equal usage cannot become 0",
        ],
    )


def points(results: Results) -> list[tuple[float, Spread]]:
    """Number of prototypes and accuracy, where there is one."""
    known = accuracies(results)
    found = [(float(name.split()[0]), known[name]) for name in results if "prototypes" in name]
    return [(k, spread) for k, spread in found if spread is not None]


def claims(results: Results) -> list[Claim]:
    """The caption of Figure 3 and appendix B.2."""
    known = dict(accuracies(results))
    tenfold = name_of(10 * CLASSES)
    others = [name for name in results if "prototypes" in name and name != tenfold]
    return [
        Claim(
            "accuracy first rises with the number, then falls",
            peak([(k, name_of(int(k)), spread) for k, spread in points(results)]),
        ),
        Claim(
            f"the best number is near ten times the {CLASSES} classes: none is better",
            all_of([no_worse(known, tenfold, other) for other in others]),
        ),
    ]


def tables(results: Results) -> list[str]:
    """Accuracy by the number of prototypes."""
    rows = [[name, percent(spread)] for name, spread in accuracies(results).items()]
    return [table(["CARL with", "top-1"], rows)]


run, judge = experiment(cells, report, claims, tables)
