"""Non-shared information made exact: on ``shapes``, what one view shows and the other does not.

The first view of a pair shows the image as it is. The second is grey, and in half of the pairs its
negative: so it tells neither the colour of the object nor whether that is lighter than the ground,
for in ``shapes`` an image and its negative are alike likely. For the tasks T of naming either,
I(v1, T | v2) = I(v1, T) > 0, and a representation that is minimal has none of it (Theorem 1).
Where the object lies differs too: views are crops. What the features know of each factor is read
by linear maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.papers import minimal_sufficient as shared
from viewfinder.papers.ci_infonce import numbers
from viewfinder.papers.compare import ordered
from viewfinder.papers.desk import Cell, Overrides, Results, protocol, run_cells, stopped
from viewfinder.papers.registry import Progress, silent
from viewfinder.papers.result import Finding, Result, Spread, table

DATA: Overrides = {"source": "shapes", "size": 32, "limit": 3000}
FACTORS = ("bright", "colour", "position", "size")
CLASSES = ("bright", "colour")  # those that only the first view shows; the others are measured too
TOLD: Overrides = {**DATA, "limit": 1500, "targets": FACTORS}

ALIKE: Overrides = {
    "preset": "none",
    "crop_scale": [0.4, 1.0],
    "crop_ratio": [0.75, 1.3333],
    "jitter": [0.2, 0.2, 0.0, 0.0],
    "jitter_p": 0.8,
}
NEGATIVE: Overrides = {"grey_p": 1.0, "solarize_p": 0.5, "solarize_threshold": 0.0}
UNLIKE: Overrides = {**ALIKE, "second": NEGATIVE}

PLAIN, BOTH = "SimCLR", "SimCLR, both views as they are"
RC, LBE = "SimCLR + RC", "SimCLR + LBE"
ROWS: Mapping[str, tuple[Overrides, Overrides | None]] = {
    PLAIN: (UNLIKE, None),
    RC: (UNLIKE, shared.rc(1.0)),
    LBE: (UNLIKE, shared.lbe(0.1)),
    BOTH: (ALIKE, None),
}


def cells() -> list[Cell]:
    """SimCLR alone and with each regularizer, the views with shared colours, and the baselines."""
    more: dict[str, Any] = {"transfer": {"factors": TOLD}, "data": DATA}
    made = [
        shared.cell(name, "simclr", part, views=views, **more)
        for name, (views, part) in ROWS.items()
    ]
    return [*made, *shared.baselines(views=UNLIKE, **more)]


def run(
    out: Path,
    *,
    seeds: int = 3,
    quick: bool = False,
    device: str = "cpu",
    workers: int = 2,
    progress: Progress = silent,
) -> Result:
    """Train all rows, draw what is left of each factor into ``out``/factors.png."""
    grid = cells()
    results = run_cells(
        grid, out, seeds=seeds, quick=quick, device=device, workers=workers, progress=progress
    )
    from viewfinder.papers.desk_plot import grouped_bars

    read = {factor: known(results, factor) for factor in FACTORS}
    grouped_bars({word(factor): read[factor] for factor in FACTORS}, out / "factors.png", x="%")
    return Result(
        findings=findings(results),
        protocol={
            **shared.told(protocol(seeds, device, quick), {"factors": TOLD}, quick),
            "source": "shapes",
            "transfer": f"factors {', '.join(FACTORS)}: classes by logistic, quantities by ridge "
            "regression",
            "views": "24 px, crops of 40 to 100 %, brightness and contrast jittered; the second "
            "one grey, and a negative in half of the pairs",
        },
        numbers=numbers(results, grid),
        figures=["factors.png"],
        notes=stopped(results),
        tables=[_table(results)],
    )


def word(factor: str) -> str:
    """What is measured of a factor: accuracy of a class, R² of a quantity."""
    return f"{factor}, top-1" if factor in CLASSES else f"{factor}, R²"


def known(results: Results, factor: str) -> dict[str, Spread | None]:
    """Accuracy (of a class) or R² (of a quantity) of each cell for a factor, over the seeds."""
    number = FACTORS.index(factor)
    found: dict[str, Spread | None] = {}
    for name, runs in results.items():
        found[name] = None
        if not any(run["stopped"] for run in runs):
            scores = [run["transfer"][0][number] for run in runs]
            found[name] = Spread(tuple(s["top1"] if "top1" in s else s["r2"] for s in scores))
    return found


def findings(results: Results) -> list[Finding]:
    """What Theorem 1 says of the factors that the views do not share."""
    found = []
    for factor in CLASSES:
        read = known(results, factor)
        found += [
            ordered(f"{factor}: lost where only one view shows it", read, [BOTH, PLAIN]),
            ordered(f"{factor}: training forgets it", read, [shared.UNTRAINED, PLAIN]),
            ordered(f"{factor}: RC keeps more of it", read, [RC, PLAIN]),
            ordered(f"{factor}: LBE keeps more of it", read, [LBE, PLAIN]),
        ]
    return found


def _table(results: Results) -> str:
    source = shared.sources(results)
    read = [source, *(known(results, factor) for factor in FACTORS)]
    rows = [
        [name, *("-" if values[name] is None else str(values[name]) for values in read)]
        for name in results
    ]
    return table(["features", "class, top-1", *(word(factor) for factor in FACTORS)], rows)
