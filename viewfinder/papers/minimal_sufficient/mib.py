"""Taking away what the views do not share, by IP and MIB: the opposite of RC and LBE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viewfinder.papers.claims import Claim, on_par
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results
from viewfinder.papers.selection import Candidates, learning_rates, product

WEIGHTS = (0.0005, 0.05, 5.0)  # the first is that of the paper's code
QUICK_WEIGHTS = WEIGHTS[:2]
RATES, QUICK_RATES = (0.003, 0.01, 0.03), (0.01,)
PLAIN, NOISY, IP, MIB = "SimCLR", "SimCLR†", "SimCLR + IP", "SimCLR + MIB"
NOISE = 0.1
LENGTH: Overrides = {"epochs": 14, "data": {**shared.SOURCE, "limit": 4000}}


def cells(quick: bool = False) -> list[Cell]:
    """SimCLR, with IP, with the noise alone, with MIB (IP and the noise); and the baselines."""
    values = QUICK_WEIGHTS if quick else WEIGHTS
    rates = learning_rates(*(QUICK_RATES if quick else RATES))
    noise = {"noise": NOISE}
    rows: Mapping[str, tuple[Overrides, Candidates]] = {
        PLAIN: ({}, rates),
        NOISY: (noise, rates),
        IP: ({}, product(weight=shared.weights(_ip, values), rate=rates)),
        MIB: (noise, product(weight=shared.weights(_mib, values), rate=rates)),
    }
    made = [
        shared.cell(row, "simclr", part, transfer=shared.FEWER, choices=choices, **LENGTH)
        for row, (part, choices) in rows.items()
    ]
    return [*made, *shared.baselines(transfer=shared.FEWER, **LENGTH)]


def _ip(weight: float) -> Overrides:
    return {"ip": {"weight": weight}}


def _mib(weight: float) -> Overrides:
    return {"mib": {"weight": weight}}


def report(results: Results, out: Path, quick: bool) -> Result:
    """Source and transfer in mib.png."""
    from viewfinder.papers.desk_plot import grouped_bars

    source, transfer = accuracies(results), shared.transfers(results)
    grouped_bars({"source": source, "mean of the transfers": transfer}, out / "mib.png")
    return Result(
        protocol={
            **shared.told(shared.FEWER),
            "noise": f"standard deviation {NOISE} on the features that the head sees",
        },
        figures=["mib.png"],
        notes=[
            "as in the paper, the weight of IP and of MIB is the one with the best accuracy on the "
            "source, here on held-out images of its train part; the learning rate of every row is "
            "chosen with it. The mean over the features' dimensions is weighted, as in the paper's "
            "code",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the report says: hardly anything changes, so the features were minimal already."""
    both = {"source": accuracies(results), "transfers": shared.transfers(results)}
    rows = {IP: PLAIN, MIB: NOISY}
    return [
        Claim(f"{row} is about as good as {plain}: {where}", on_par(known, row, plain))
        for row, plain in rows.items()
        for where, known in both.items()
    ]


def tables(results: Results) -> list[str]:
    """Source and transfer."""
    return [shared.transfer_table(results, shared.FEWER)]


run, judge = experiment(cells, report, claims, tables)
