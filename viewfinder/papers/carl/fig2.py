"""Figure 2 of CARL: the weight lambda of equal usage, falling during training or constant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.compare import each_beyond
from viewfinder.papers.desk import (
    PIXELS,
    UNTRAINED,
    Cell,
    Overrides,
    Results,
    accuracies,
    experiment,
)
from viewfinder.papers.result import Finding, Result

HIGH, LOW, NONE = 2.0, 1.0, 0.0  # the paper's b and a on STL-10; and no pressure at all
DATA = shared.IMAGENETTE
EPOCHS = 24

LINEAR, COSINE = f"linear, {HIGH:g} to {LOW:g}", f"cosine, {HIGH:g} to {LOW:g}"
CONSTANT, LESS, ABSENT = (f"constant {weight:g}" for weight in (HIGH, LOW, NONE))
SCHEDULES: Mapping[str, Overrides] = {
    LINEAR: {"weight": HIGH, "final_weight": LOW, "decay": "linear"},
    COSINE: {"weight": HIGH, "final_weight": LOW, "decay": "cosine"},
    CONSTANT: {"weight": HIGH, "final_weight": None},
    LESS: {"weight": LOW, "final_weight": None},
    ABSENT: {"weight": NONE, "final_weight": None},
}


def cells() -> list[Cell]:
    """CARL with each schedule, and the baselines."""
    made = [
        shared.carl(name, DATA, objective, points=shared.QUARTERS, epochs=EPOCHS)
        for name, objective in SCHEDULES.items()
    ]
    return [*made, *shared.baselines(DATA)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy by epoch in fig2.png, the claims, the table."""
    from viewfinder.papers.desk_plot import Panel, curves

    known = accuracies(results)
    drawn = {name: shared.course(results[name]) for name in SCHEDULES}
    levels = {row: known[row] for row in (UNTRAINED, PIXELS)}
    panel = Panel(title="schedules of lambda", x="epoch", curves=drawn, levels=levels)
    curves([panel], out / "fig2.png")
    return Result(
        findings=findings(results),
        protocol={
            "decay": "over the first two thirds of the epochs (the paper: half)",
            "prototypes": 100,
        },
        figures=["fig2.png"],
        notes=[
            "imagenette in place of STL-10",
            "the points are of one training, whose learning rate falls by a cosine to zero",
        ],
        tables=[shared.course_table("lambda", drawn, levels)],
    )


run = experiment(lambda quick: cells(), report)


def findings(results: Results) -> list[Finding]:
    """What the caption of Figure 2 and appendix B.1 say."""
    known = accuracies(results)
    return [
        each_beyond(
            "a linear decay of lambda is better than its constant start",
            known,
            [(LINEAR, CONSTANT)],
        ),
        each_beyond(
            "a small lambda from the start is worse than decaying to it", known, [(LINEAR, LESS)]
        ),
        _collapses(results),
    ]


def _collapses(results: Results) -> Finding:
    """Without the divergence all images go to one prototype: the alarm, or no number."""
    claim = "without the divergence all views are assigned to one prototype"
    reasons = [run["stopped"] for run in results[ABSENT]]
    collapsed = [bool(reason) for reason in reasons]
    words = f"{sum(collapsed)} of {len(collapsed)} runs were stopped by the collapse alarm"
    verdict = True if all(collapsed) else None if any(collapsed) else False
    return Finding(claim, words, verdict)
