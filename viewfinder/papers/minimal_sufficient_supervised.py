"""RC and LBE with labels: a classifier, too, forgets what its labels do not need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers import minimal_sufficient as shared
from viewfinder.papers.ci_infonce import numbers
from viewfinder.papers.compare import not_behind, ordered
from viewfinder.papers.desk import Cell, Overrides, Results, protocol, run_cells, stopped
from viewfinder.papers.registry import Progress, silent
from viewfinder.papers.result import Finding, Result, table

WEIGHTS = (0.01, 0.1, 1.0)
QUICK_WEIGHTS = (0.1,)
NOISE = 0.01  # of LBE with labels, in the paper's code
PLAIN = "cross-entropy"
LENGTH: Overrides = {"epochs": 14, "data": shared.SOURCE}

# The paper, CIFAR-10 as the source: source, signs, flowers, MNIST.
PAPER: Mapping[str, tuple[float, ...]] = {
    "cross-entropy": (93.2, 93.0, 46.1, 98.5),
    "+ RC": (93.1, 93.3, 49.0, 98.6),
    "+ LBE": (93.2, 94.5, 53.2, 98.7),
}


def cells(quick: bool = False) -> list[Cell]:
    """The classifier alone and with each regularizer at each weight, and the baselines."""
    rows: dict[str, Overrides] = {PLAIN: {}}
    for weight in QUICK_WEIGHTS if quick else WEIGHTS:
        rows[f"{PLAIN} + {weight:g} RC"] = shared.rc(weight)
        rows[f"{PLAIN} + {weight:g} LBE"] = {**shared.lbe(weight), "noise": NOISE}
    # one view an image; the paper halves the jitter of its pairs here
    views = {"preset": "supervised", "jitter": [0.4, 0.4, 0.4, 0.1], "jitter_p": 0.8, "grey_p": 0.2}
    made = [
        shared.cell(row, "cross-entropy", part, views=views, **LENGTH) for row, part in rows.items()
    ]
    return [*made, *shared.baselines(**LENGTH)]


def run(
    out: Path,
    *,
    seeds: int = 3,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Train all rows, draw source and transfer into ``out``/supervised.png, judge the claims."""
    grid = cells(quick)
    results = run_cells(
        grid, out, seeds=seeds, quick=quick, device=device, workers=workers, progress=progress
    )
    from viewfinder.papers.desk_plot import grouped_bars

    source, transfer = shared.sources(results), shared.transfers(results)
    grouped_bars({"source": source, "mean of the transfers": transfer}, out / "supervised.png")
    rows = [[row, *(f"{value:.1f}" for value in values)] for row, values in PAPER.items()]
    return Result(
        findings=findings(results),
        protocol={
            **shared.told(protocol(seeds, device, quick), shared.TRANSFER, quick),
            **({} if quick else {"epochs of all rows here": LENGTH["epochs"]}),
        },
        numbers=numbers(results, grid),
        figures=["supervised.png"],
        notes=[
            "claims are judged at the weight with the best accuracy on the source; the paper does "
            "not say how it chose (its code: RC 0.001, LBE 0.1)",
            *stopped(results),
        ],
        tables=[
            shared.transfer_table(results, shared.TRANSFER),
            table(["the paper", "CIFAR-10", "signs", "flowers", "MNIST"], rows),
        ],
    )


def findings(results: Results) -> list[Finding]:
    """What the report says of increasing I(z, x) with labels."""
    source, transfer = shared.sources(results), shared.transfers(results)
    found = []
    for word in ("RC", "LBE"):
        row = shared.best(source, word)
        found += [
            ordered(f"{row}: better over the transfer sets", transfer, [row, PLAIN]),
            not_behind(f"{row}: no worse on the source", source, row, [PLAIN]),
        ]
    return found
