"""Figure 2 of CARL: the weight lambda of equal usage, falling during training or constant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.claims import Claim, better, of_seeds
from viewfinder.papers.desk import (
    UNTRAINED,
    Cell,
    Overrides,
    accuracies,
    experiment,
)
from viewfinder.papers.result import PIXELS, Result, Results, Spread

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
    """Accuracy by epoch in fig2.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    drawn, levels = _courses(results)
    panel = Panel(title="schedules of lambda", x="epoch", curves=drawn, levels=levels)
    curves([panel], out / "fig2.png")
    return Result(
        protocol={
            "decay": "over the first two thirds of the epochs (the paper: half)",
            "prototypes": 100,
        },
        figures=["fig2.png"],
        notes=[
            "imagenette in place of STL-10",
            "the points are of one training, whose learning rate falls by a cosine to zero",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the caption of Figure 2 and appendix B.1 say."""
    known = accuracies(results)
    stopped = [run["stopped"] is not None for run in results[ABSENT]]
    return [
        Claim(
            "a linear decay of lambda is better than its constant start",
            better(known, LINEAR, CONSTANT),
        ),
        Claim(
            "a small lambda from the start is worse than decaying to it",
            better(known, LINEAR, LESS),
        ),
        Claim(
            "without the divergence all views are assigned to one prototype",
            of_seeds(stopped, "stopped by the collapse alarm", ()),
        ),
    ]


def tables(results: Results) -> list[str]:
    """Accuracy by epoch."""
    return [shared.course_table("lambda", *_courses(results))]


def _courses(
    results: Results,
) -> tuple[dict[str, dict[float, Spread]], dict[str, Spread | None]]:
    known = accuracies(results)
    drawn = {name: shared.course(results[name]) for name in SCHEDULES}
    return drawn, {row: known[row] for row in (UNTRAINED, PIXELS)}


run, judge = experiment(lambda quick: cells(), report, claims, tables)
