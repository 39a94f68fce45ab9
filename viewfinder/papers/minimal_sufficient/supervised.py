"""RC and LBE with labels: a classifier, too, forgets what its labels do not need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.claims import Claim, better, no_worse
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results
from viewfinder.papers.selection import Candidates, learning_rates, product

WEIGHTS = (0.01, 0.1, 1.0)
QUICK_WEIGHTS = WEIGHTS[:2]
RATES, QUICK_RATES = (0.003, 0.01, 0.03), (0.01,)
NOISE = 0.01  # of LBE with labels, in the paper's code
PLAIN, RC, LBE = "cross-entropy", "cross-entropy + RC", "cross-entropy + LBE"
LENGTH: Overrides = {"epochs": 14, "data": shared.SOURCE}

# The paper, CIFAR-10 as the source: source, signs, flowers, MNIST, fashion.
PAPER: Mapping[str, tuple[float, ...]] = {
    "cross-entropy": (93.25, 93.05, 46.14, 98.52, 90.09),
    "+ RC": (93.09, 93.28, 49.05, 98.61, 89.77),
    "+ LBE": (93.18, 94.47, 53.15, 98.68, 90.40),
}


def cells(quick: bool = False) -> list[Cell]:
    """The classifier alone and with each regularizer, and the baselines."""
    values = QUICK_WEIGHTS if quick else WEIGHTS
    rates = learning_rates(*(QUICK_RATES if quick else RATES))
    rows: Mapping[str, tuple[Overrides, Candidates]] = {
        PLAIN: ({}, rates),
        RC: ({}, product(weight=shared.weights(shared.rc, values), rate=rates)),
        LBE: (
            {"noise": NOISE},
            product(weight=shared.weights(shared.lbe, values), rate=rates),
        ),
    }
    # one view per image; the paper halves the jitter of its pairs here
    views = {"preset": "supervised", "jitter": [0.4, 0.4, 0.4, 0.1], "jitter_p": 0.8, "grey_p": 0.2}
    made = [
        shared.cell(row, "cross-entropy", part, views=views, choices=choices, **LENGTH)
        for row, (part, choices) in rows.items()
    ]
    return [*made, *shared.baselines(**LENGTH)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Source and transfer in supervised.png."""
    from viewfinder.papers.desk_plot import grouped_bars

    source, transfer = accuracies(results), shared.transfers(results)
    grouped_bars({"source": source, "mean of the transfers": transfer}, out / "supervised.png")
    return Result(
        protocol={
            **shared.told(shared.TRANSFER),
            **shared.LBE_TOLD,
            "noise with LBE": f"{NOISE}, as in the paper's code with labels",
        },
        figures=["supervised.png"],
        notes=[
            "weights are chosen by the accuracy on the source, on held-out images of its train "
            "part, together with the learning rate of every row; the paper does not say how it "
            "chose (its code: RC 0.001, LBE 0.1)",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the report says of increasing I(z, x) with labels."""
    source, transfer = accuracies(results), shared.transfers(results)
    found = []
    for row in (RC, LBE):
        found += [
            Claim(f"{row}: better over the transfer sets", better(transfer, row, PLAIN)),
            Claim(f"{row}: no worse on the source", no_worse(source, row, PLAIN)),
        ]
    return found


def tables(results: Results) -> list[str]:
    """Source and transfer, and the paper's."""
    return [shared.transfer_table(results, shared.TRANSFER), shared.paper_table(PAPER)]


run, judge = experiment(cells, report, claims, tables)
