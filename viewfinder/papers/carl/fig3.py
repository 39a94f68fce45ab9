"""Figure 3 of CARL: accuracy against the number of prototypes."""

from __future__ import annotations

from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.compare import beyond, peak_inside
from viewfinder.papers.desk import PIXELS, UNTRAINED, Cell, Results, accuracies, experiment
from viewfinder.papers.result import Finding, Result, Spread, percent, table

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
    """Accuracy over the number of prototypes in fig3.png, the claims, the table."""
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
    rows = [[name, percent(spread)] for name, spread in known.items()]
    return Result(
        findings=findings(results),
        figures=["fig3.png"],
        notes=[
            "with more prototypes than images in a batch (128) not all can be used in one step, so "
            "the divergence from equal usage cannot become 0",
        ],
        tables=[table(["CARL with", "top-1"], rows)],
    )


run = experiment(cells, report)


def points(results: Results) -> list[tuple[float, Spread]]:
    """Number of prototypes and accuracy, where there is one."""
    known = accuracies(results)
    found = [(float(name.split()[0]), known[name]) for name in results if "prototypes" in name]
    return [(k, spread) for k, spread in found if spread is not None]


def findings(results: Results) -> list[Finding]:
    """The caption of Figure 3 and appendix B.2."""
    known = points(results)
    return [
        peak_inside("accuracy first rises with the number, then falls", known, "prototypes"),
        _near_tenfold(known),
    ]


def _near_tenfold(known: list[tuple[float, Spread]]) -> Finding:
    """The best number is ten times the classes, or is not beyond that one's accuracy."""
    tenfold = float(10 * CLASSES)
    claim = f"the best number is near ten times the {CLASSES} classes"
    by_number = dict(known)
    if tenfold not in by_number:
        return Finding(claim, f"no number for {tenfold:g} prototypes", None)
    best = max(by_number, key=lambda k: by_number[k].mean)
    found = f"best at {best:g}: {by_number[best]}; at {tenfold:g}: {by_number[tenfold]}"
    if best == tenfold:
        return Finding(claim, found, True)
    return Finding(claim, found, False if beyond(by_number[best], by_number[tenfold]) else None)
