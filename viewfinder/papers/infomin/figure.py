"""Experiments that vary one parameter of the views: accuracy along it and against I_NCE.

A figure of the paper is data: its levels, what they have in common, and what is claimed. ``figure``
makes of it the ``run`` and the ``judge`` of an experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viewfinder.papers import desk
from viewfinder.papers.claims import Claim, Known, Points
from viewfinder.papers.curve_plot import CurvePoint, draw
from viewfinder.papers.desk import Cell, Overrides, accuracies, experiment
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Result, Results, Spread, percent, table
from viewfinder.recipes.recipe import merge

CIFAR: Overrides = {"source": f"npz:{ROOT}/cifar10", "limit": 4000}
IMAGENETTE: Overrides = {"source": f"npz:{ROOT}/imagenette96", "size": 32, "limit": 4000}
EPOCHS = 14


Among = Callable[[float], bool]
"""Which places on the axis."""


@dataclass(frozen=True)
class Level:
    """One value of the parameter.

    curve   that it belongs to; label: as it is called; at: where it lies on the axis
    recipe  overrides over what the levels of the figure have in common
    quick   whether the quick form has it
    """

    curve: str
    label: str
    at: float
    recipe: Overrides
    quick: bool = False

    @property
    def name(self) -> str:
        return f"{self.curve}: {self.label}"


@dataclass(frozen=True)
class Curves:
    """What was found, for the claims of a figure.

    accuracy      by what is read, "own" or a transfer set, of each arm
    information   I_NCE of each arm, nats
    """

    levels: Sequence[Level]
    accuracy: Mapping[str, Known]
    information: Known

    def over(self, curve: str, read: str = "own", among: Among = lambda at: True) -> Points:
        """A curve's accuracy over the parameter."""
        return [
            (level.at, level.name, self.accuracy[read].get(level.name))
            for level in self.levels
            if level.curve == curve and among(level.at)
        ]

    def informed(self, curve: str) -> Points:
        """A curve's I_NCE over the parameter."""
        own = [level for level in self.levels if level.curve == curve]
        return [(level.at, level.name, self.information.get(level.name)) for level in own]

    def against(self, curve: str, read: str = "own") -> Points:
        """A curve's accuracy over its mean I_NCE, without what has none."""
        known = [(self.information.get(name), name, y) for _, name, y in self.over(curve, read)]
        return [(x.mean, name, y) for x, name, y in known if x is not None]


@dataclass(frozen=True)
class Figure:
    """A figure of the paper as data.

    levels     of all curves
    common     what their recipes have in common
    parameter  the axis; log: logarithmic; names: the levels are names, without an order
    claims     of what was found: what is to be judged
    transfer   further sets that the encoder is read on, by name
    own        whether it is read on the set that it is trained on
    protocol, notes   for the page, beside those of all desk runs
    """

    levels: Sequence[Level]
    common: Overrides
    parameter: str
    claims: Callable[[Curves], Sequence[Claim]]
    transfer: Mapping[str, Overrides] = field(default_factory=dict)
    own: bool = True
    log: bool = False
    names: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def curve_names(self) -> list[str]:
        return list(dict.fromkeys(level.curve for level in self.levels))

    @property
    def reads(self) -> list[str]:
        return [*(["own"] if self.own else []), *self.transfer]

    def cells(self, quick: bool) -> list[Cell]:
        """The levels, and of each curve's data an untrained encoder and the pixels."""
        chosen = [level for level in self.levels if level.quick or not quick]
        made = [
            Cell(
                level.name,
                merge({"epochs": EPOCHS}, self.common, level.recipe),
                transfer=tuple(self.transfer.values()),
                shared=True,
            )
            for level in chosen
        ]
        seen: list[Any] = []
        for level, cell in zip(chosen, list(made), strict=True):
            if cell.recipe.get("data") not in seen:
                seen.append(cell.recipe.get("data"))
                made += desk.baselines(cell, f"{level.curve}: ")
        return made

    def found(self, results: Results) -> Curves:
        known = [level for level in self.levels if level.name in results]
        return Curves(known, readings(results, self.reads), information(results))


def readings(results: Results, reads: Sequence[str]) -> dict[str, dict[str, Spread | None]]:
    """By what is read, the accuracy of each arm."""
    found: dict[str, dict[str, Spread | None]] = {}
    further = [read for read in reads if read != "own"]
    for read in reads:
        if read == "own":
            found[read] = accuracies(results)
            continue
        number = further.index(read)
        found[read] = {
            name: None
            if any(run["stopped"] for run in runs)
            else Spread(tuple(run["transfer"][number][0]["top1"] for run in runs))
            for name, runs in results.items()
        }
    return found


def information(results: Results) -> dict[str, Spread | None]:
    """I_NCE of each arm; None where a run has none."""
    values = {name: [run.get("shared") for run in runs] for name, runs in results.items()}
    return {
        name: None if None in own else Spread(tuple(one["value"] for one in own))  # type: ignore[index]
        for name, own in values.items()
    }


def figure(
    data: Figure, picture: str
) -> tuple[Callable[..., Result], Callable[[Mapping[str, Any]], Result]]:
    """The ``run`` and the ``judge`` of a figure, drawn into ``picture``.png for each reading."""

    def report(results: Results, out: Path, quick: bool) -> Result:
        found = data.found(results)
        files = []
        for read in data.reads:
            file = f"{picture}.png" if len(data.reads) == 1 else f"{picture}-{_word(read)}.png"
            drawn = {name: _drawn(found, name, read) for name in data.curve_names}
            draw(
                {name: points for name, points in drawn.items() if points},
                out / file,
                parameter=data.parameter,
                information="I_NCE, nats",
                axis=not data.names,
                log=data.log,
            )
            files.append(file)
        how = "log K - loss on held-out images: the projections' cosine, equal K for all arms"
        return Result(
            protocol={"I_NCE": how, **data.protocol},
            figures=files,
            notes=list(data.notes),
        )

    def tables(results: Results) -> list[str]:
        found, informed = readings(results, data.reads), information(results)
        rows = [
            [name, *(percent(found[read].get(name)) for read in data.reads), _nats(informed[name])]
            for name in results
        ]
        heads = ["top-1" if read == "own" else read for read in data.reads]
        return [table([data.parameter, *heads, "I_NCE, nats"], rows)]

    return experiment(
        data.cells,
        report,
        lambda results: data.claims(data.found(results)),
        tables,
        alike=lambda name: name.partition(": ")[0],
    )


def _drawn(found: Curves, curve: str, read: str) -> list[CurvePoint]:
    drawn = []
    for level in found.levels:
        accuracy = found.accuracy[read].get(level.name)
        if level.curve == curve and accuracy is not None:
            known = found.information.get(level.name)
            drawn.append(CurvePoint(level.label, level.at, accuracy, known))
    return drawn


def _nats(spread: Spread | None) -> str:
    return "-" if spread is None else str(spread)


def _word(text: str) -> str:
    return text.lower().replace(" ", "-")


def numbered(curve: str, values: Mapping[float, Overrides], quick: Sequence[float]) -> list[Level]:
    """The levels of a curve along numbers; ``quick`` are those of the quick form."""
    return [Level(curve, f"{x:g}", x, recipe, x in quick) for x, recipe in values.items()]
