"""Taking away what the views do not share, by IP and MIB: the opposite of RC and LBE."""

from __future__ import annotations

from pathlib import Path

from viewfinder.papers.claims import Claim, on_par
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results

WEIGHTS = (0.0005, 0.05, 5.0)  # the first is that of the paper's code
QUICK_WEIGHTS = WEIGHTS[:1]
PLAIN, NOISY = "SimCLR", "SimCLR†"
LENGTH: Overrides = {"epochs": 14, "data": {**shared.SOURCE, "limit": 4000}}


def cells(quick: bool = False) -> list[Cell]:
    """SimCLR, with IP, with the noise alone, with MIB (IP and the noise); and the baselines."""
    rows: dict[str, Overrides] = {PLAIN: {}, NOISY: {"noise": 0.1}}
    for weight in QUICK_WEIGHTS if quick else WEIGHTS:
        rows[f"SimCLR + {weight:g} IP"] = {"ip": {"weight": weight}}
        rows[f"SimCLR + {weight:g} MIB"] = {"mib": {"weight": weight}, "noise": 0.1}
    made = [
        shared.cell(row, "simclr", part, transfer=shared.FEWER, **LENGTH)
        for row, part in rows.items()
    ]
    return [*made, *shared.baselines(transfer=shared.FEWER, **LENGTH)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Source and transfer in mib.png."""
    from viewfinder.papers.desk_plot import grouped_bars

    source, transfer = accuracies(results), shared.transfers(results)
    grouped_bars({"source": source, "mean of the transfers": transfer}, out / "mib.png")
    return Result(
        protocol={
            **shared.told(shared.FEWER),
            "noise": "standard deviation 0.1 on the features that the head sees",
        },
        figures=["mib.png"],
        notes=[
            "as in the paper, claims are judged at the weight of IP and of MIB with the best "
            "accuracy on the source: here among those of the table, on images of its train part "
            "that the probe held out; the mean over the features' dimensions is weighted, as in "
            "its code",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the report says: hardly anything changes, so the features were minimal already."""
    both = {"source": accuracies(results), "transfers": shared.transfers(results)}
    rows = {shared.best(results, word): plain for word, plain in (("IP", PLAIN), ("MIB", NOISY))}
    return [
        Claim(f"{row} is about as good as {plain}: {where}", on_par(known, row, plain))
        for row, plain in rows.items()
        for where, known in both.items()
    ]


def tables(results: Results) -> list[str]:
    """Source and transfer."""
    return [shared.transfer_table(results, shared.FEWER)]


run, judge = experiment(cells, report, claims, tables)
