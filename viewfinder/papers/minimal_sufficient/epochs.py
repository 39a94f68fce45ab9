"""Source and transfer over long training: the features come to fit what the views share."""

from __future__ import annotations

import math
from pathlib import Path

from viewfinder.papers.claims import Claim, better, no_worse, rising
from viewfinder.papers.desk import UNTRAINED, Cell, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results, percent, table

EPOCHS = 48
POINTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
DATA = {**shared.SOURCE, "limit": 2000}
PLAIN = "SimCLR"
ROWS = {PLAIN: None, "SimCLR + RC": shared.rc(1.0), "SimCLR + LBE": shared.lbe(0.1)}


def cells() -> list[Cell]:
    """SimCLR alone and with each regularizer, without any decay of the learning rate: a shorter
    training is then the beginning of a longer one, as in the paper, whose code has no schedule."""
    made = [
        shared.cell(
            name,
            "simclr",
            part,
            transfer=shared.FEWER,
            points=POINTS,
            epochs=EPOCHS,
            data=DATA,
            optimizer={"lr": 0.003},
            schedule={"name": "constant"},
        )
        for name, part in ROWS.items()
    ]
    return [*made, *shared.baselines(transfer=shared.FEWER, data=DATA)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Source and transfer by epoch in epochs.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    courses = {name: shared.courses(results[name]) for name in ROWS}
    levels = (accuracies(results), shared.transfers(results))
    panels = [
        Panel(
            title=title,
            x="epoch",
            curves={name: both[i] for name, both in courses.items()},
            levels={UNTRAINED: levels[i][UNTRAINED]},
            log=True,
        )
        for i, title in enumerate(("source", "mean of the transfers"))
    ]
    curves(panels, out / "epochs.png")
    return Result(
        protocol={
            **shared.told(shared.FEWER),
            **shared.LBE_TOLD,
            "learning rate of all rows here": "0.003 x batch / 256, constant after warm-up",
        },
        figures=["epochs.png"],
        notes=[
            "all points of a row are of one training with a constant learning rate, each what a "
            "training of that length gives",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """What the report says of training with more epochs."""
    courses = shared.courses(results[PLAIN])
    source, transfer = (
        [(math.log2(epoch), PLAIN, spread) for epoch, spread in points.items()]
        for points in courses
    )
    at_home, elsewhere = accuracies(results), shared.transfers(results)
    found = [
        Claim(f"{PLAIN}: the source rises with epochs", rising(source, over="doubling")),
        Claim(
            f"{PLAIN}: the transfers fall with epochs", rising(transfer, over="doubling", sign=-1)
        ),
    ]
    for name in list(ROWS)[1:]:
        found += [
            Claim(f"{name}: better over the transfers at the end", better(elsewhere, name, PLAIN)),
            Claim(f"{name}: no worse on the source at the end", no_worse(at_home, name, PLAIN)),
        ]
    return found


def tables(results: Results) -> list[str]:
    """Source and transfer by epoch, and of each set at the end."""
    return [_table(results), shared.transfer_table(results, shared.FEWER, "at the end")]


def _table(results: Results) -> str:
    rows = {
        f"{name}: {word}": points
        for name in ROWS
        for word, points in zip(("source", "mean"), shared.courses(results[name]), strict=True)
    }
    epochs = sorted({epoch for points in rows.values() for epoch in points})
    lines = [[name, *(percent(p.get(epoch)) for epoch in epochs)] for name, p in rows.items()]
    return table(["", *(f"epoch {epoch:g}" for epoch in epochs)], lines)


run, judge = experiment(lambda quick: cells(), report, claims, tables)
