"""Table 1 of CARL: four methods with equal budgets, at four points of one training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.compare import not_behind, ordered, trend
from viewfinder.papers.desk import (
    PIXELS,
    UNTRAINED,
    Cell,
    Overrides,
    Results,
    accuracies,
    experiment,
    sets,
)
from viewfinder.papers.result import Finding, Result, Spread, table

BYOL, SIMCLR, MOCO, CARL = "BYOL", "SimCLR", "MoCo v2", "CARL"
METHODS: Mapping[str, Overrides] = {
    BYOL: {"method": "byol"},
    SIMCLR: {"method": "simclr"},
    MOCO: {"method": "moco", "negatives": {"size": 2048}},
    CARL: {"method": "carl", "objective": {"prototypes": 100}},
}
SETS: Mapping[str, Overrides] = {"cifar10": shared.CIFAR, "imagenette": shared.IMAGENETTE}

# The paper's accuracies after 50, 100, 150, 200 epochs, as far as its table can be read.
PAPER: Mapping[str, str] = {
    BYOL: "- (CIFAR-100: 45.7 at 200)",
    SIMCLR: "- (CIFAR-100: 47.3 at 200)",
    MOCO: "59.0, 65.6, 69.4, 71.6 (CIFAR-100: 44.4 at 200)",
    CARL: "- (CIFAR-100: 46.2 at 200)",
}


def cells(name: str) -> list[Cell]:
    """The four methods and the baselines on one data set."""
    data = SETS[name]
    made = [
        shared.cell(f"{name}: {method}", data=data, points=shared.QUARTERS, **parts)
        for method, parts in METHODS.items()
    ]
    return [*made, *shared.baselines(data, f"{name}: ")]


def grid(quick: bool = False) -> list[Cell]:
    """The cells of both data sets; quick: of CIFAR-10 alone."""
    return [one for name in list(SETS)[: 1 if quick else None] for one in cells(name)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy by epoch in table1.png, the claims, the tables."""
    from viewfinder.papers.desk_plot import Panel, curves

    known = accuracies(results)
    chosen = sets(results)
    courses = {name: _courses(results, name) for name in chosen}
    baselines = (UNTRAINED, PIXELS)
    levels = {name: {row: known[f"{name}: {row}"] for row in baselines} for name in chosen}
    curves(
        [Panel(name, "epoch", courses[name], levels[name]) for name in chosen], out / "table1.png"
    )
    return Result(
        findings=[f for name in chosen for f in findings(results, name)],
        figures=["table1.png"],
        notes=[
            "the four points are of one training, whose learning rate falls by a cosine to zero at "
            "the last: an earlier point is not a shorter training",
            "all methods have the same views, encoder, optimiser, batch and epochs, and a head to "
            "128: of one hidden layer (BYOL with a predictor), CARL's of two as in its paper; CARL "
            "has 100 prototypes, which the paper does not say of its own table",
        ],
        tables=[
            *(shared.course_table(name, courses[name], levels[name]) for name in chosen),
            table(["the paper on CIFAR-10", "epochs 50, 100, 150, 200"], list(PAPER.items())),
        ],
    )


run = experiment(grid, report)


def _courses(results: Results, name: str) -> dict[str, dict[float, Spread]]:
    return {method: shared.course(results[f"{name}: {method}"]) for method in METHODS}


def findings(results: Results, name: str) -> list[Finding]:
    """The sentences of section 3, for one data set."""
    known = {method: accuracies(results)[f"{name}: {method}"] for method in METHODS}
    found = [
        ordered(f"{name}: CARL is better than MoCo v2", known, [CARL, MOCO]),
        not_behind(
            f"{name}: CARL is on par with BYOL and SimCLR, or better", known, CARL, [BYOL, SIMCLR]
        ),
    ]
    for method, points in _courses(results, name).items():
        claim = f"{name}: {method} gains with every quarter of training"
        found.append(trend(claim, list(points.items()), rising=True, what="epoch"))
    return found
