"""Stand-ins for the training of a point, found by their names in other processes too."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from viewfinder.core.errors import RunStopped, UserError
from viewfinder.sweeps.plan import Plan, Point
from viewfinder.sweeps.points import one_after_another

VALUES = (0, 1, 2)


def plan_of(folder: Path, seeds: int = 3, values: tuple[Any, ...] = VALUES) -> Plan:
    """A plan of recipes that are never trained."""
    from viewfinder.recipes.recipe import build

    def at(value: Any) -> Any:
        return build("simclr", {"views": {"strength": value}})

    return Plan(at, "views.strength", values, seeds, folder)


def trained(point: Point) -> dict[str, Any]:
    """A peak at 1; writes down which process trained it."""
    log = point.folder.parents[1] / "log.txt"
    with log.open("a") as file:
        file.write(f"{point.folder.name} {os.getpid()}\n")
    time.sleep(float(os.environ.get("SLEEP", 0)))
    bump = {0: 0.3, 1: 0.6, 2: 0.4}[point.value]
    return {
        "top1": bump + 0.01 * point.seed + 0.001 * (point.seed * (point.value + 1) % 3),
        "protocol": {},
        "shared": {"value": 2.0 - point.value + 0.01 * point.seed},
        "clusters": None,
    }


def some_fail(point: Point) -> dict[str, Any]:
    """As ``trained``, except for points that cannot be, each in its own way."""
    kinds = {(0, 0): RunStopped("collapsed"), (1, 1): RuntimeError("no memory"),
             (2, 2): UserError("a file is gone")}  # fmt: skip
    if (point.value, point.seed) in kinds:
        raise kinds[point.value, point.seed]
    return trained(point)


if __name__ == "__main__":
    folder, together = Path(sys.argv[1]), int(os.environ.get("TOGETHER", 1))
    points = plan_of(folder / "sweep").points()
    (folder / f"ready-{os.getpid()}").touch()
    while len(list(folder.glob("ready-*"))) < together:  # one may start much later than another
        time.sleep(0.01)
    one_after_another(points, trained)
