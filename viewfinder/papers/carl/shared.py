"""What the experiments of CARL (Silva and Ramírez Rivera 2021) share at desk scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.papers import desk
from viewfinder.papers.desk import Cell, Overrides
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Spread, percent, table

CIFAR: Overrides = {"source": f"npz:{ROOT}/cifar10", "limit": 4000}
IMAGENETTE: Overrides = {"source": f"npz:{ROOT}/imagenette96", "size": 32, "limit": 4000}
EPOCHS = 20

# The paper gives all methods the augmentations of SimCLR.
VIEWS: Overrides = {"preset": "simclr", "crop_scale": [0.25, 1.0]}
QUARTERS = (0.25, 0.5, 0.75)


def cell(
    name: str,
    method: str,
    data: Overrides,
    *,
    features: Any = "trained",
    points: tuple[float, ...] = (),
    **parts: Any,
) -> Cell:
    """A cell with the views and the length that all methods have; ``parts`` are of its recipe."""
    recipe = {"method": method, "data": data, "views": VIEWS, "epochs": EPOCHS, **parts}
    return Cell(name, recipe, features=features, points=points)


def carl(name: str, data: Overrides, objective: Overrides, **more: Any) -> Cell:
    """CARL with options of its objective over those of the method's row."""
    return cell(name, "carl", data, objective=dict(objective), **more)


def baselines(data: Overrides, prefix: str = "") -> list[Cell]:
    """An untrained encoder and the pixels themselves."""
    return desk.baselines(cell("", "simclr", data), prefix)


def course(runs: Sequence[Mapping[str, Any]]) -> dict[float, Spread]:
    """Accuracy over the seeds by epoch: at the points of training, and at its end.

    Only epochs that every seed has reached: of a run that was stopped the points before.
    """
    by_seed = []
    for run in runs:
        one = {float(point["epoch"]): point["scores"][0]["top1"] for point in run["points"]}
        if run["top1"] is not None:
            one[float(len(run["epochs"]))] = run["top1"]
        by_seed.append(one)
    shared = sorted(set.intersection(*(set(one) for one in by_seed)))
    return {epoch: Spread(tuple(one[epoch] for one in by_seed)) for epoch in shared}


def course_table(
    head: str, courses: Mapping[str, Mapping[float, Spread]], levels: Mapping[str, Spread | None]
) -> str:
    """Courses by epoch, and under the last epoch what has none."""
    epochs = sorted({epoch for course in courses.values() for epoch in course})
    rows = [
        [name, *(percent(course.get(epoch)) for epoch in epochs)]
        for name, course in courses.items()
    ]
    before = ["-"] * (len(epochs) - 1)
    rows += [[name, *before, percent(level)] for name, level in levels.items()]
    return table([head, *(f"epoch {epoch:g}" for epoch in epochs)], rows)
