"""Source and transfer over long training: the features come to fit what the views share."""

from __future__ import annotations

from pathlib import Path

from viewfinder.papers.compare import not_behind, ordered, trend
from viewfinder.papers.desk import UNTRAINED, Cell, Results, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Finding, Result, percent, table

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
    """Source and transfer by epoch in epochs.png, the claims, the tables."""
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
        findings=findings(results),
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
        tables=[_table(results), shared.transfer_table(results, shared.FEWER, "at the end")],
    )


run = experiment(lambda quick: cells(), report)


def findings(results: Results) -> list[Finding]:
    """What the report says of training with more epochs."""
    courses = {name: shared.courses(results[name]) for name in ROWS}
    source, transfer = ([*points.items()] for points in courses[PLAIN])
    at_home, elsewhere = accuracies(results), shared.transfers(results)
    found = [
        trend(f"{PLAIN}: the source rises with epochs", source, rising=True, what="epoch"),
        trend(f"{PLAIN}: the transfers fall with epochs", transfer, rising=False, what="epoch"),
    ]
    for name in list(ROWS)[1:]:
        found += [
            ordered(f"{name}: better over the transfers at the end", elsewhere, [name, PLAIN]),
            not_behind(f"{name}: no worse on the source at the end", at_home, name, [PLAIN]),
        ]
    return found


def _table(results: Results) -> str:
    rows = {
        f"{name}: {word}": points
        for name in ROWS
        for word, points in zip(("source", "mean"), shared.courses(results[name]), strict=True)
    }
    epochs = sorted({epoch for points in rows.values() for epoch in points})
    lines = [[name, *(percent(p.get(epoch)) for epoch in epochs)] for name, p in rows.items()]
    return table(["", *(f"epoch {epoch:g}" for epoch in epochs)], lines)
