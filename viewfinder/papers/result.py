"""What an experiment found, beside what its paper says; as JSON and as a Markdown table."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfinder.core.files import write_atomically

if TYPE_CHECKING:
    from viewfinder.papers.experiment import Experiment


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; the deviation of one seed is not known."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        if self.deviation is None:
            return f"{self.mean:.3f} (1 seed)"
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True)
class Finding:
    """One claim of the paper, what was found, and whether that is what the paper says.

    ``holds`` is None where the paper gives too little to decide.
    """

    claim: str
    found: str
    holds: bool | None


@dataclass(frozen=True)
class Result:
    """findings, one a claim; protocol: every setting and choice behind the numbers; numbers: the
    values themselves, as JSON; figures: file names in the out folder; notes: sentences; tables:
    the paper's table with what was found, in Markdown."""

    findings: Sequence[Finding]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    figures: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    tables: Sequence[str] = field(default_factory=tuple)


def markdown(result: Result, experiment: Experiment) -> str:
    """The table of claims, the protocol behind it, the notes and the figures."""
    word = {True: "yes", False: "**no**", None: "cannot be told"}
    rows = [[f.claim, f.found, word[f.holds]] for f in result.findings]
    protocol = ", ".join(f"{key} {value}" for key, value in result.protocol.items())
    parts = [
        f"# {experiment.name}: {experiment.item} of {experiment.paper}",
        experiment.claim,
        table(["the paper", "found (mean ± deviation over seeds)", "holds"], rows),
        *result.tables,
        f"Protocol: {protocol}.",
        "\n".join(f"- {note}" for note in result.notes),
        _at_full_scale(experiment),
        "\n".join(f"![{experiment.item}]({name})" for name in result.figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> str:
    """A table in Markdown, with a title above it where there is one; | may stand in a cell."""
    lines = [header, ["---"] * len(header), *rows]
    escaped = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)
    return f"{title}\n\n{text}" if title else text


def percent(spread: Spread | None) -> str:
    """For a table: 61.2 ± 0.5, or a dash."""
    if spread is None:
        return "-"
    shown = f"{100 * spread.mean:.1f}"
    return shown if spread.deviation is None else f"{shown} ± {100 * spread.deviation:.1f}"


def _at_full_scale(experiment: Experiment) -> str:
    if not experiment.recipes:
        return ""
    package = Path(__file__).parents[2]
    files = [file.relative_to(package).as_posix() for file in experiment.recipe_files()]
    names = "\n".join(f"- `viewfinder pretrain --recipe {file}`" for file in files)
    return f"At the scale of the paper, with data.source set to where the data lie:\n\n{names}"


def write(result: Result, experiment: Experiment, out: Path) -> None:
    """Write results.json and table.md into ``out``."""
    content = {"experiment": asdict(experiment), **asdict(result)}
    write_atomically(out / "results.json", to_json(content))
    write_atomically(out / "table.md", markdown(result, experiment))


def to_json(content: Any) -> str:
    """JSON that every reader accepts: what is not a finite number becomes null."""
    return json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"


def _finite(x: Any) -> Any:
    if isinstance(x, float):
        return x if math.isfinite(x) else None
    if isinstance(x, Mapping):
        return {str(key): _finite(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_finite(value) for value in x]
    return x
