"""Scores over sets and runs as tables: a row per method, a column per set, a spread per cell."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from viewfinder.evaluation.probes.scores import AnyScore, Score, conditions, what_sets_apart


@dataclass(frozen=True)
class Entry:
    """A score and where it goes: its row, and whose it is (a run, a seed): of several scores with
    one identity in one cell the last counts. ``seed``: of the run."""

    row: str
    identity: str
    own: bool
    score: AnyScore
    seed: int = 0


@dataclass(frozen=True)
class Column:
    """A measure on a set. ``style``: "percent" of a fraction, "r2", or "error"."""

    key: str
    label: str
    style: str

    def text(self, values: Sequence[float]) -> str:
        """Mean ± standard deviation (n − 1), the latter where there are several; "" without any."""
        if not values:
            return ""
        form = {"percent": "{:.2f}", "r2": "{:.3f}", "error": "{:.3g}"}[self.style]
        apart = "{:.2g}" if self.style == "error" else form
        scale = 100 if self.style == "percent" else 1
        words = form.format(scale * statistics.mean(values))
        if len(values) == 1:
            return words
        return f"{words} ± {apart.format(scale * statistics.stdev(values))}"


@dataclass(frozen=True)
class ScoreTable:
    """values[row][column key]: one number per run. ``own``: the rows of trained encoders."""

    title: str
    columns: list[Column]
    values: dict[str, dict[str, list[float]]]
    own: frozenset[str]

    def show(self, console: Console) -> None:
        """Print it, as several tables below each other where it is wider than the console."""
        texts = {
            row: [column.text(cells.get(column.key, [])) for column in self.columns]
            for row, cells in self.values.items()
        }
        labels = [line for column in self.columns for line in column.label.splitlines()]
        widest = max(map(len, [*labels, *(cell for row in texts.values() for cell in row)]))
        first = max(len(row) for row in [*self.values, "features"])
        fitting = max(1, (console.width - first - 4) // (widest + 3))
        for start in range(0, len(self.columns), fitting):
            shown = self.columns[start : start + fitting]
            table = Table(title=self.title if start == 0 else None)
            table.add_column("features")
            for column in shown:
                table.add_column(column.label, justify="right")
            for row, cells in texts.items():
                here = cells[start : start + fitting]
                table.add_row(row, *here, style="bold" if row in self.own else "")
            console.print(table, markup=False)


def tables(entries: Sequence[Entry]) -> list[ScoreTable]:
    """One table per probe, in the order in which probes, rows and sets first appear.

    Trained encoders come before the baselines. Scores of one seed share a column only where they
    are of the same images by the same probe, see ``comparable``; a mean is over seeds alone.
    """
    names = short_names([str(e.score.protocol["data"]) for e in entries])
    rows = sorted(dict.fromkeys(e.row for e in entries), key=lambda row: not _owned(row, entries))
    found = []
    for probe in dict.fromkeys(str(e.score.protocol["protocol"]) for e in entries):
        mine = [e for e in entries if e.score.protocol["protocol"] == probe]
        columns: dict[str, Column] = {}
        cells: dict[str, dict[str, dict[str, float]]] = {row: {} for row in rows}
        groups = _same_but_seeds(mine)
        for group in groups:
            apart = ", ".join(what_sets_apart(group[0].score, [other[0].score for other in groups]))
            for e in group:
                for column, value in _measures(e.score, names, apart):
                    columns.setdefault(column.key, column)
                    cells[e.row].setdefault(column.key, {})[e.identity] = value
        title = f"{probe}: top-1 in %, frozen features, held-out images"
        if not isinstance(mine[0].score, Score):
            title = f"{probe}: R² and mean error, frozen features, held-out images"
        values = {
            row: {key: list(by.values()) for key, by in found_cells.items()}
            for row, found_cells in cells.items()
            if found_cells
        }
        own = frozenset(e.row for e in mine if e.own)
        found.append(ScoreTable(title, list(columns.values()), values, own))
    return found


def _same_but_seeds(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Groups of entries that differ in nothing but the seed, of what was drawn by it too.

    The numbers of a part that was held out may differ from seed to seed. Where two scores of one
    seed differ in anything, each group is of one seed alone.
    """
    alike: dict[str, list[Entry]] = {}
    for e in entries:
        words = [str(e.score.protocol.get(name)) for name in ("data", "split", "options")]
        words[1] = re.sub(r"\d+", "", words[1].partition(" (")[2]) + words[1].partition(" (")[0]
        alike.setdefault(repr(words), []).append(e)
    found: list[list[Entry]] = []
    for group in alike.values():
        parts: dict[str, list[Entry]] = {}
        for e in group:
            parts.setdefault(conditions(e.score), []).append(e)
        by_seed = [seed for part in parts.values() for seed in {e.seed for e in part}]
        found += [group] if len(set(by_seed)) == len(by_seed) else [*parts.values()]
    return found


def seeds_apart(entries: Sequence[Entry]) -> str:
    """Which rows are of which seeds, in words, where rows of trained encoders differ in them."""
    seeds: dict[str, set[int]] = {}
    for e in entries:
        if e.own:
            seeds.setdefault(e.row, set()).add(e.seed)
    if len({frozenset(own) for own in seeds.values()}) < 2:
        return ""
    return "; ".join(f"{row}: {', '.join(map(str, sorted(own)))}" for row, own in seeds.items())


def _owned(row: str, entries: Sequence[Entry]) -> bool:
    return any(e.own for e in entries if e.row == row)


def _measures(score: AnyScore, names: Mapping[str, str], apart: str) -> list[tuple[Column, float]]:
    """The columns of a score with its numbers; ``apart`` tells it from others of the same data."""
    data = str(score.protocol["data"])
    key, name = (f"{data} {apart}".rstrip(), f"{names[data]}\n{apart}".rstrip())
    if isinstance(score, Score):
        return [(Column(key, name, "percent"), score.top1)]
    unit = f", {score.unit}" if score.unit else ""
    return [
        (Column(f"{key} r2", f"{name}\nR²", "r2"), score.r2),
        (Column(f"{key} error", f"{name}\nerror{unit}", "error"), score.error),
    ]


def short_names(specs: Sequence[str]) -> dict[str, str]:
    """A short word for each spec: the last part of its path, or all of it where that is not unique.

    >>> short_names(["cifar10", "npz:sets/mnist", "npz:sets/a/train.npz", "shapes#position"])
    {'cifar10': 'cifar10', 'npz:sets/mnist': 'mnist', 'npz:sets/a/train.npz': 'train.npz', \
'shapes#position': 'shapes#position'}
    """
    once = list(dict.fromkeys(specs))
    short = {spec: re.split(r"[:/\\]", spec.rstrip("/\\"), maxsplit=0)[-1] for spec in once}
    short = {
        spec: word if ":" in spec.partition("#")[0] and word else spec
        for spec, word in short.items()
    }
    taken = list(short.values())
    return {spec: word if taken.count(word) == 1 else spec for spec, word in short.items()}


def row_names(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The row of each run (by folder): equal recipes share one, named by the method.

    Where several recipes have one method, the keys that tell them apart follow it: up to two of
    them, or else the first of the folders.

    >>> row_names({"a": {"method": "m", "lr": 1}, "b": {"method": "m", "lr": 2}})
    {'a': 'm lr=1', 'b': 'm lr=2'}
    """
    flat = {folder: _flat(method) for folder, method in methods.items()}
    groups: dict[str, list[str]] = {}
    for folder, keys in flat.items():
        groups.setdefault(repr(sorted(keys.items())), []).append(folder)
    names: dict[str, str] = {}
    for members in groups.values():
        own = flat[members[0]]
        others = [f for f in flat.values() if f["method"] == own["method"] and f != own]
        apart = sorted({k for f in others for k in f.keys() | own.keys() if f.get(k) != own.get(k)})
        words = " ".join(_word(key, own.get(key, "null")) for key in apart).strip()
        name = f"{own['method']} {words if len(apart) <= 2 else f'({members[0]})'}".strip()
        names |= dict.fromkeys(members, name if others else own["method"])
    return {folder: names[folder] for folder in methods}


def _word(key: str, value: str) -> str:
    """How a key that tells rows apart is written: key=value, but "+ rc 1" for regularizers."""
    if key == "regularizers":
        return "" if value == "none" else f"+ {value}"
    return f"{key}={value}"


def _flat(method: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in method.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)
    return found
