"""RC and LBE from a weight that does nothing to one that does harm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.papers.claims import Claim, all_of, better, peak
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.minimal_sufficient import shared
from viewfinder.papers.result import Result, Results, Spread

WEIGHTS = (0.001, 0.01, 0.1, 1.0, 10.0)
QUICK_WEIGHTS = (0.01, 1.0)
LENGTH: Overrides = {"epochs": 8, "data": {**shared.SOURCE, "limit": 2500}}
KINDS = {"RC": shared.rc, "LBE": shared.lbe}
PLAIN = "SimCLR"

Curve = dict[float, Spread]


def name_of(kind: str, weight: float) -> str:
    return f"{PLAIN} + {weight:g} {kind}"


def cells(quick: bool = False) -> list[Cell]:
    """SimCLR, and with each regularizer at each weight; and the baselines."""
    more: dict[str, Any] = {"transfer": shared.FEWER, **LENGTH}
    made = [
        shared.cell(name_of(kind, weight), "simclr", part(weight), **more)
        for kind, part in KINDS.items()
        for weight in (QUICK_WEIGHTS if quick else WEIGHTS)
    ]
    return [shared.cell(PLAIN, "simclr", **more), *made, *shared.baselines(**more)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Source and transfer over the weights in lambda.png."""
    from viewfinder.papers.desk_plot import Panel, curves

    both = {"source": accuracies(results), "mean of the transfers": shared.transfers(results)}
    panels = [
        Panel(
            title=title,
            x="lambda",
            curves={kind: curve(known, kind) for kind in KINDS},
            levels={PLAIN: known[PLAIN]},
            log=True,
        )
        for title, known in both.items()
    ]
    curves(panels, out / "lambda.png")
    return Result(
        protocol={**shared.told(shared.FEWER), **shared.LBE_TOLD},
        figures=["lambda.png"],
    )


def curve(known: Mapping[str, Spread | None], kind: str) -> Curve:
    """Accuracy by weight."""
    found = {weight: known.get(name_of(kind, weight)) for weight in WEIGHTS}
    return {weight: spread for weight, spread in found.items() if spread is not None}


def claims(results: Results) -> list[Claim]:
    """What the report says of its figure: better throughout, but less where there is too much."""
    known = {"the source": accuracies(results), "the transfer sets": shared.transfers(results)}
    found = []
    for kind in KINDS:
        for where, values in known.items():
            rows = {w: name_of(kind, w) for w in WEIGHTS if name_of(kind, w) in values}
            points = [(w, row, values[row]) for w, row in rows.items()]
            found += [
                Claim(
                    f"{kind} improves on {where} at every weight",
                    all_of([better(values, row, PLAIN) for row in rows.values()]),
                ),
                Claim(
                    f"{kind}: accuracy on {where} first rises with the weight, then falls",
                    peak(points),
                ),
            ]
    return found


def tables(results: Results) -> list[str]:
    """Source and transfer."""
    return [shared.transfer_table(results, shared.FEWER)]


run, judge = experiment(cells, report, claims, tables)
