"""The points of a sweep, checked before the first is trained, and the folder that keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from viewfinder.core.errors import UserError, in_words
from viewfinder.core.files import locked, write_atomically, writing
from viewfinder.recipes.recipe import Recipe
from viewfinder.sweeps.vary import slug, told

NAME = "sweep.json"
RESULT = "point.json"


@dataclass(frozen=True)
class Point:
    """One value with one seed.

    folder  its own: "run", the run folder, and point.json, what was found
    recipe  as plain data; ``build(None, recipe)`` means the same
    """

    value: Any
    seed: int
    folder: Path
    recipe: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{told(self.value)}, seed {self.seed}"

    def result(self) -> dict[str, Any] | None:
        """What was found, or None where it is not known yet."""
        try:
            found = json.loads((self.folder / RESULT).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        own = isinstance(found, dict) and found.get("value") == self.value
        if not own or found.get("seed") != self.seed:
            return None
        share = found.get("top1")
        known = isinstance(share, int | float) and 0 <= share <= 1
        none = bool(found.get("stopped")) or ("top1" in found and share is None)
        parts = (found.get("shared"), found.get("clusters"))
        if not (known or none) or not all(isinstance(x, dict | None) for x in parts):
            raise UserError(
                f"{self.folder / RESULT} says what no run gives: top1 is {in_words(share)}",
                fix=f"remove {self.folder / RESULT}; its run is kept, and only read again",
            )
        return found

    def keep(self, found: Mapping[str, Any]) -> None:
        """Store what was found."""
        from viewfinder.papers.result import to_json

        content = {"value": self.value, "seed": self.seed, **found}
        write_atomically(self.folder / RESULT, to_json(content))


@dataclass(frozen=True)
class Plan:
    """A sweep: the recipe at a value, the key that is varied, its values and the seeds.

    at  (value) -> the recipe, with the first seed
    """

    at: Callable[[Any], Recipe]
    path: str
    values: tuple[Any, ...]
    seeds: int
    folder: Path

    @cached_property
    def recipes(self) -> list[Recipe]:
        """The recipe at each value. Raises UserError that says which value is refused."""
        found: list[Recipe] = []
        for value in self.values:
            try:
                found.append(self.at(value))
            except UserError as error:
                raise UserError(
                    f"vary={self.path}, at {told(value)}: {error.message}", fix=error.fix
                ) from error
        return found

    def points(self) -> list[Point]:
        """All points, all values of a seed before the next seed: what is there at any time says
        most."""
        made = []
        for seed in range(self.seeds):
            for value, recipe in zip(self.values, self.recipes, strict=True):
                own = recipe.model_copy(update={"seed": recipe.seed + seed})
                folder = self.folder / "points" / f"{slug(value)}-seed{own.seed}"
                made.append(Point(value, own.seed, folder, own.plain()))
        return made


def joined(plan: Plan) -> Plan:
    """The plan with what its folder has planned before: values and seeds that are new come to those
    that are there. The folder then holds the plan.

    Raises UserError for a folder of another recipe or of another key, and for one that is not empty
    and no sweep.
    """
    with locked(plan.folder), writing(plan.folder):
        file = plan.folder / NAME
        if not file.exists():
            others = [path.name for path in plan.folder.iterdir() if path.name != ".lock"]
            if others:
                raise UserError(
                    f"{plan.folder} is not empty and no sweep: it has no {NAME}",
                    fix="--out DIR, a folder that is new",
                )
        else:
            plan = _with_stored(plan, file)
        first = plan.recipes[0].plain()
        content = {"path": plan.path, "values": plan.values, "seeds": plan.seeds, "recipe": first}
        write_atomically(file, json.dumps(content, indent=1) + "\n")
    return plan


def _with_stored(plan: Plan, file: Path) -> Plan:
    try:
        stored = json.loads(file.read_bytes())
        path, values, recipe = str(stored["path"]), list(stored["values"]), dict(stored["recipe"])
        seeds = max(plan.seeds, int(stored["seeds"]))
        if not values:
            raise ValueError("it has no values")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{file} is not the plan of a sweep: {error!r}", fix="--out DIR, a folder that is new"
        ) from None
    if path != plan.path:
        raise UserError(
            f"{plan.folder} is a sweep along {path}, not along {plan.path}",
            fix="--out DIR, a folder that is new",
        )
    # recipes are compared at a value that both have, or would have
    key = _difference(recipe, plan.at(values[0]).plain())
    if key is not None:
        raise UserError(
            f"{plan.folder} is a sweep of another recipe: it has another {key}",
            fix="--out DIR, a folder that is new, or the words that it was begun with",
        )
    known = [told(value) for value in values]
    return replace(
        plan,
        values=(*values, *(v for v in plan.values if told(v) not in known)),
        seeds=seeds,
    )


def _difference(a: Any, b: Any, key: str = "") -> str | None:
    """The first dotted key in which two recipes differ; None: they are the same."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys((*a, *b)):
            if name not in a or name not in b:
                return f"{key}{name}"
            found = _difference(a[name], b[name], f"{key}{name}.")
            if found is not None:
                return found
        return None
    return None if a == json.loads(json.dumps(b)) else key.rstrip(".")


def enough(plan: Plan) -> str | None:
    """What to say where the seeds or values are too few for a verdict; None: they are not."""
    if len(plan.values) < 3:
        return f"{len(plan.values)} values cannot show a peak within: three are needed"
    if plan.seeds < 3:
        return (
            f"with {plan.seeds} seed{'s' if plan.seeds > 1 else ''} there is no verdict on a "
            "reverse U: one fixes the peak and at least two test it; seeds=5 is advised"
        )
    if plan.seeds < 5:
        return f"{plan.seeds} seeds see only peaks many times their noise; seeds=5 is advised"
    return None


def unfinished(points: Sequence[Point]) -> list[Point]:
    """Those whose result is not known."""
    return [point for point in points if point.result() is None]
