"""Table 1 and Figure 2 of CARL again: heads of one shape, more images, rates chosen for each.

Planned after the runs of Table 1 and of Figure 2, so with other seeds. Beside the accuracy there is
what the schedules of lambda are about: how many prototypes are in use, epoch by epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from viewfinder.papers.carl import fig2, shared
from viewfinder.papers.claims import Claim, all_of, better, no_worse
from viewfinder.papers.desk import UNTRAINED, Cell, Overrides, accuracies, experiment
from viewfinder.papers.result import PIXELS, Result, Results, Spread, table
from viewfinder.papers.selection import learning_rates, product, queues, temperatures

DATA: Overrides = {**shared.CIFAR, "limit": 8000}
EPOCHS = 20
HEAD = {"projector": [512, 512, 128]}  # two hidden layers, as the paper says of its own
RATES, QUICK_RATES = (0.003, 0.01, 0.03), (0.003, 0.01)
TEMPERATURES, QUEUES = (0.1, 0.2), (1024, 4096)
WATCH = "viewfinder.papers.carl.usage:EffectivePrototypes"

BYOL, SIMCLR, MOCO, CARL = "BYOL", "SimCLR", "MoCo v2", "CARL"
SCHEDULES: Mapping[str, Overrides] = {
    f"CARL, lambda {name}": objective
    for name, objective in fig2.SCHEDULES.items()
    if name != fig2.ABSENT
}


def cells(quick: bool = False) -> list[Cell]:
    """The four methods, then CARL with each schedule of lambda; and the baselines."""
    rates = learning_rates(*(QUICK_RATES if quick else RATES))
    heats = temperatures(*TEMPERATURES)
    own: Mapping[str, tuple[str, Overrides, Mapping[str, Any]]] = {
        CARL: ("carl", {"objective": {"prototypes": 100}}, rates),
        MOCO: ("moco", {}, product(rate=rates, heat=heats, queue=queues(*QUEUES))),
        SIMCLR: ("simclr", {}, product(rate=rates, heat=heats)),
        BYOL: ("byol", {}, rates),
    }
    if quick:
        own = {name: (method, parts, rates) for name, (method, parts, _) in own.items()}
    made = [
        replace(_cell(name, method, **parts), choices=choices)
        for name, (method, parts, choices) in own.items()
    ]
    schedules = [
        replace(
            _cell(name, "carl", objective={"prototypes": 100, **objective}), choices=rates, turn=1
        )
        for name, objective in SCHEDULES.items()
    ]
    watched = [
        replace(one, watch=(WATCH,)) if one.recipe["method"] == "carl" else one
        for one in (*made, *schedules)
    ]
    return [*watched, *shared.baselines(DATA)]


def _cell(name: str, method: str, **parts: Any) -> Cell:
    return shared.cell(
        name, method, DATA, points=shared.QUARTERS, **{"epochs": EPOCHS, "head": HEAD, **parts}
    )


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy and prototypes in use by epoch in equal-heads.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    known = accuracies(results)
    levels = {row: known[row] for row in (UNTRAINED, PIXELS)}
    panels = [
        Panel("top-1", "epoch", {name: shared.course(results[name]) for name in _trained(results)},
              levels),
        Panel("prototypes in use", "epoch", {n: in_use(results, n) for n in _carl(results)}, {}),
    ]  # fmt: skip
    curves(panels, out / "equal-heads.png")
    return Result(
        figures=["equal-heads.png"],
        protocol={
            "head": "512, 512, 128 for all; BYOL with its predictor",
            "prototypes": 100,
            "prototypes in use": "exp of the entropy of their shares of the samples of an epoch",
        },
        notes=[
            "planned after the runs of Table 1 and Figure 2 with the seeds 0 to 2, so with other "
            "seeds",
            "the points are of one training, whose learning rate falls by a cosine to zero",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """The sentences on Table 1 and on Figure 2 that these runs can judge."""
    known = accuracies(results)
    linear, constant, low = (
        f"CARL, lambda {word}" for word in (fig2.LINEAR, fig2.CONSTANT, fig2.LESS)
    )
    return [
        Claim("CARL is better than MoCo v2", better(known, CARL, MOCO)),
        Claim(
            "CARL is on par with BYOL and SimCLR, or better",
            all_of([no_worse(known, CARL, other) for other in (BYOL, SIMCLR)]),
        ),
        Claim(
            "a linear decay of lambda is better than its constant start",
            better(known, linear, constant),
        ),
        Claim(
            "a small lambda from the start is worse than decaying to it",
            better(known, linear, low),
        ),
    ]


def tables(results: Results) -> list[str]:
    """Accuracy by epoch, and the prototypes in use."""
    known = accuracies(results)
    courses = {name: shared.course(results[name]) for name in _trained(results)}
    levels = {row: known[row] for row in (UNTRAINED, PIXELS)}
    return [shared.course_table("features", courses, levels), _in_use_table(results)]


def in_use(results: Results, name: str) -> dict[float, Spread]:
    """How many prototypes are in use by epoch, over the seeds; as far as every seed has come."""
    rows = [run["watched"]["EffectivePrototypes"] for run in results[name]]
    return {
        float(epoch): Spread(tuple(same))
        for epoch, same in enumerate(zip(*rows, strict=False), start=1)
    }


def _in_use_table(results: Results) -> str:
    courses = {name: in_use(results, name) for name in _carl(results)}
    epochs = sorted({epoch for course in courses.values() for epoch in course})
    shown = [epochs[i] for i in sorted({0, len(epochs) // 4, len(epochs) // 2, len(epochs) - 1})]
    rows = [
        [name, *(f"{course[e].mean:.1f}" if e in course else "-" for e in shown)]
        for name, course in courses.items()
    ]
    return table(["prototypes in use", *(f"epoch {epoch:g}" for epoch in shown)], rows)


def _trained(results: Results) -> list[str]:
    return [name for name in results if name not in (UNTRAINED, PIXELS)]


def _carl(results: Results) -> list[str]:
    return [name for name in results if name.startswith(CARL)]


run, judge = experiment(cells, report, claims, tables, first=3)
