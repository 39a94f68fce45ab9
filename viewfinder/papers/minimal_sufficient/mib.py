"""Taking away what the views do not share, by IP and MIB: the opposite of RC and LBE."""

from __future__ import annotations

from pathlib import Path

from viewfinder.papers.desk import Cell, Overrides, Results, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Finding, Result

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
    """Source and transfer in mib.png, the claims, the table."""
    from viewfinder.papers.desk_plot import grouped_bars

    source, transfer = accuracies(results), shared.transfers(results)
    grouped_bars({"source": source, "mean of the transfers": transfer}, out / "mib.png")
    return Result(
        findings=findings(results),
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
        tables=[shared.transfer_table(results, shared.FEWER)],
    )


run = experiment(cells, report)


def findings(results: Results) -> list[Finding]:
    """What the report says: hardly anything changes, so the features were minimal already."""
    source, transfer = accuracies(results), shared.transfers(results)
    found = []
    for word, without in (("IP", PLAIN), ("MIB", NOISY)):
        row = shared.best(results, word)
        for where, known in (("source", source), ("transfers", transfer)):
            claim = f"{row} is about as good as {without}: {where}"
            found.append(shared.alike(claim, known[row], known[without]))
    return found
