"""RC and LBE with labels: a classifier, too, forgets what its labels do not need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.claims import Claim, better, no_worse
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results

WEIGHTS = (0.01, 0.1, 1.0)
QUICK_WEIGHTS = (0.1,)
NOISE = 0.01  # of LBE with labels, in the paper's code
PLAIN = "cross-entropy"
LENGTH: Overrides = {"epochs": 14, "data": shared.SOURCE}

# The paper, CIFAR-10 as the source: source, signs, flowers, MNIST, fashion.
PAPER: Mapping[str, tuple[float, ...]] = {
    "cross-entropy": (93.25, 93.05, 46.14, 98.52, 90.09),
    "+ RC": (93.09, 93.28, 49.05, 98.61, 89.77),
    "+ LBE": (93.18, 94.47, 53.15, 98.68, 90.40),
}


def cells(quick: bool = False) -> list[Cell]:
    """The classifier alone and with each regularizer at each weight, and the baselines."""
    rows: dict[str, Overrides] = {PLAIN: {}}
    for weight in QUICK_WEIGHTS if quick else WEIGHTS:
        rows[f"{PLAIN} + {weight:g} RC"] = shared.rc(weight)
        rows[f"{PLAIN} + {weight:g} LBE"] = {**shared.lbe(weight), "noise": NOISE}
    # one view per image; the paper halves the jitter of its pairs here
    views = {"preset": "supervised", "jitter": [0.4, 0.4, 0.4, 0.1], "jitter_p": 0.8, "grey_p": 0.2}
    made = [
        shared.cell(row, "cross-entropy", part, views=views, **LENGTH) for row, part in rows.items()
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
            "claims are judged at the weight with the best accuracy on images of the source's "
            "train part that the probe held out; the paper does not say how it chose (its code: RC "
            "0.001, LBE 0.1)",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the report says of increasing I(z, x) with labels."""
    source, transfer = accuracies(results), shared.transfers(results)
    found = []
    for word in ("RC", "LBE"):
        row = shared.best(results, word)
        found += [
            Claim(f"{row}: better over the transfer sets", better(transfer, row, PLAIN)),
            Claim(f"{row}: no worse on the source", no_worse(source, row, PLAIN)),
        ]
    return found


def tables(results: Results) -> list[str]:
    """Source and transfer, and the paper's."""
    return [shared.transfer_table(results, shared.TRANSFER), shared.paper_table(PAPER)]


run, judge = experiment(cells, report, claims, tables)
