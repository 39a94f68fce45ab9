"""Table 1 of CARL: four methods with equal budgets, at four points of one training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.carl import shared
from viewfinder.papers.claims import Claim, Known, all_of, better, no_worse
from viewfinder.papers.desk import (
    UNTRAINED,
    Cell,
    Overrides,
    accuracies,
    experiment,
    sets,
)
from viewfinder.papers.result import PIXELS, Result, Results, Spread, table

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
    """Accuracy by epoch in table1.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    known = accuracies(results)
    chosen = sets(results)
    panels = [
        Panel(name, "epoch", _courses(results, name), _levels(known, name)) for name in chosen
    ]
    curves(panels, out / "table1.png")
    return Result(
        figures=["table1.png"],
        notes=[
            "the four points are of one training, whose learning rate falls by a cosine to zero at "
            "the last: an earlier point is not a shorter training",
            "all methods have the same views, encoder, optimiser, batch and epochs, and a head to "
            "128: of one hidden layer (BYOL with a predictor), CARL's of two as in its paper; CARL "
            "has 100 prototypes, which the paper does not say of its own table",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """The sentences of section 3, for each data set."""
    known = accuracies(results)
    found = []
    for name in sets(results):
        own = f"{name}: {CARL}"
        others = [no_worse(known, own, f"{name}: {other}") for other in (BYOL, SIMCLR)]
        found += [
            Claim(f"{name}: CARL is better than MoCo v2", better(known, own, f"{name}: {MOCO}")),
            Claim(f"{name}: CARL is on par with BYOL and SimCLR, or better", all_of(others)),
        ]
    return found


def tables(results: Results) -> list[str]:
    """Accuracy by epoch of each data set, and the paper's."""
    known = accuracies(results)
    return [
        *(
            shared.course_table(name, _courses(results, name), _levels(known, name))
            for name in sets(results)
        ),
        table(["the paper on CIFAR-10", "epochs 50, 100, 150, 200"], list(PAPER.items())),
    ]


def _courses(results: Results, name: str) -> dict[str, dict[float, Spread]]:
    return {method: shared.course(results[f"{name}: {method}"]) for method in METHODS}


def _levels(known: Known, name: str) -> dict[str, Spread | None]:
    return {row: known[f"{name}: {row}"] for row in (UNTRAINED, PIXELS)}


run, judge = experiment(grid, report, claims, tables)
