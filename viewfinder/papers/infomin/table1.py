"""Table 1 in miniature: its order, with one encoder, budget and queue for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from viewfinder.papers import desk
from viewfinder.papers.claims import Claim, better
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.infomin.figure import EPOCHS, IMAGENETTE, information
from viewfinder.papers.result import Result, Results, percent, table
from viewfinder.papers.selection import learning_rates

RATES, QUICK_RATES = (0.003, 0.01, 0.03), (0.003, 0.01)
QUEUE = 1024
BANK: Overrides = {"name": "bank", "size": QUEUE, "alpha": 0.5}
HALF = {"widths": [8, 16, 32, 64]}  # of each of CMC's two networks

ROWS: Mapping[str, Overrides] = {
    "InstDis": {"method": "instdis", "negatives": BANK},
    "CMC": {"method": "cmc", "negatives": BANK, "encoder": HALF},
    "SimCLR": {"method": "simclr"},
    "InfoMin": {"method": "infomin", "negatives": {"name": "queue", "size": QUEUE}},
}
PAPER = {"InstDis": 56.5, "CMC": 60.0, "SimCLR": 69.3, "InfoMin": 73.0}


def cells(quick: bool = False) -> list[Cell]:
    """The four, each with its own learning rate, and the baselines."""
    rates = learning_rates(*(QUICK_RATES if quick else RATES))
    made = [
        Cell(name, {"data": IMAGENETTE, "epochs": EPOCHS, **recipe}, shared=True, choices=rates)
        for name, recipe in ROWS.items()
    ]
    return [*made, *desk.baselines(made[2])]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy in table1.png."""
    from viewfinder.papers.desk_plot import grouped_bars

    grouped_bars({"imagenette": accuracies(results)}, out / "table1.png")
    return Result(
        protocol={
            "negatives": f"{QUEUE} of InstDis's and CMC's bank and of InfoMin's queue; SimCLR's "
            "are its batch",
            "CMC": "two networks of half the widths, as the paper's",
        },
        figures=["table1.png"],
        notes=["order claims only: at a desk no method is trained as long as it asks for"],
    )


def claims(results: Results) -> list[Claim]:
    """The two orders that hold with equal budgets in the paper's table."""
    known = accuracies(results)
    return [
        Claim("CMC is better than InstDis", better(known, "CMC", "InstDis")),
        Claim("InfoMin is better than SimCLR", better(known, "InfoMin", "SimCLR")),
    ]


def tables(results: Results) -> Sequence[str]:
    """Accuracy, I_NCE, and the paper's accuracy on ImageNet."""
    known, informed = accuracies(results), information(results)
    rows = [
        [name, percent(known[name]), "-" if informed[name] is None else str(informed[name]),
         f"{PAPER[name]:.1f}" if name in PAPER else "-"]
        for name in results
    ]  # fmt: skip
    return [table(["method", "top-1", "I_NCE, nats", "the paper, ImageNet"], rows)]


run, judge = experiment(cells, report, claims, tables)
