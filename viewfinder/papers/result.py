"""What an experiment found, beside what its paper says; as JSON and as a Markdown table."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfinder.core.errors import UserError, in_words
from viewfinder.core.files import write_atomically

if TYPE_CHECKING:
    from viewfinder.papers.experiment import Experiment

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""For each arm's name, the result of every seed: see ``viewfinder.papers.desk_train.train``."""
PIXELS = "raw pixels"
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"


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

    holds        True, False, or None where the data cannot tell, or where there is no verdict
    detectable   the difference that these runs could have shown, with its unit
    no_verdict   why nothing is judged: an arm was hardly trained, or has no number
    beside       what a reader must know beside the verdict
    """

    claim: str
    found: str
    holds: bool | None
    detectable: str = ""
    no_verdict: str = ""
    beside: str = ""

    @property
    def verdict(self) -> str:
        """In words."""
        if self.no_verdict:
            return f"no verdict: {self.no_verdict}"
        word = {True: "yes", False: "**no**", None: "cannot tell"}[self.holds]
        return f"{word} ({self.beside})" if self.beside else word


@dataclass(frozen=True)
class Result:
    """findings, one per claim; protocol: every setting and choice behind the numbers; numbers: the
    values themselves, as JSON; figures: file names in the out folder; notes: sentences; tables:
    the paper's table with what was found, in Markdown; rule: how the findings were judged."""

    findings: Sequence[Finding] = field(default_factory=tuple)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    figures: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    tables: Sequence[str] = field(default_factory=tuple)
    rule: Sequence[str] = field(default_factory=tuple)


def markdown(
    result: Result, experiment: Experiment, *, numbers: str = "results.json", figure: str = ""
) -> str:
    """The page of an experiment: claims and verdicts, tables, the protocol, the notes, the figures.

    numbers   the file that holds all numbers; figure: the file of the figure, where it is not named
              as in the result
    """
    rows = [[f.claim, f.found, f.detectable or "-", f.verdict] for f in result.findings]
    protocol = ", ".join(f"{key} {value}" for key, value in result.protocol.items())
    parts = [
        f"# {experiment.item} of {experiment.paper}",
        experiment.claim,
        f"`viewfinder reproduce {experiment.name}` makes this page's tables, figure and "
        f"[numbers]({numbers}); with `--judge` the verdicts alone, from the numbers.",
        table(["the paper", "found: difference [95 %]", "detectable", "holds"], rows),
        *result.rule,
        *result.tables,
        f"Protocol: {protocol}.",
        "\n".join(f"- {note}" for note in result.notes),
        _at_full_scale(experiment),
        "\n".join(f"![{experiment.item}]({figure or name})" for name in result.figures),
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
    """Write results.json and table.md into ``out``; or into ``out`` itself, if it is a .json file,
    and the page of the same name beside it.

    Of a page that has the marks ``BEGIN`` and ``END`` only what stands between them is written
    anew: the rest was written by hand.
    """
    content = to_json({"experiment": asdict(experiment), **asdict(result)})
    if out.suffix != ".json":
        write_atomically(out / "results.json", content)
        write_atomically(out / "table.md", markdown(result, experiment))
        return
    write_atomically(out, content)
    page = out.with_suffix(".md")
    text = markdown(result, experiment, numbers=out.name, figure=f"{out.stem}.png")
    write_atomically(page, _between_marks(page, text))


def read(stored: Path, name: str) -> dict[str, Any]:
    """What a results.json holds, given the file or its folder.

    Raises UserError where there is none, where it is no such file, and where its numbers are of
    another experiment.
    """
    file = stored if stored.suffix == ".json" else stored / "results.json"
    if not file.is_file():
        raise UserError(
            f"there is no {file}: {name} has no stored numbers there",
            fix=f"viewfinder reproduce {name}, which trains and writes them",
        )
    try:
        content: dict[str, Any] = json.loads(file.read_text())
        own = str(content["experiment"]["name"])
        whole = isinstance(content["numbers"], dict) and {"protocol", "figures", "notes"} <= {
            *content
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{file} is not the results.json of an experiment: {error!r}",
            fix=f"viewfinder reproduce {name}, which writes one",
        ) from None
    if own != name or not whole:
        raise UserError(
            f"{file} has not the numbers of {name}" + (f", but of {own}" if own != name else ""),
            fix=f"viewfinder reproduce {own} --judge --out {stored}",
        )
    problem = _impossible(content["numbers"])
    if problem is not None:
        raise UserError(
            f"{file} holds what was never measured: {problem}",
            fix=f"viewfinder reproduce {name}, which writes it anew",
        )
    return content


SHARES = ("top1", "top5")
LARGEST = 3.5e38
"""No number of float32 is larger."""


def _impossible(numbers: Any) -> str | None:
    """A number that no experiment can have, with its key; None where there is none."""
    rest: list[tuple[str, Any]] = [("numbers", numbers)]
    while rest:  # no recursion: a file may be nested without end
        key, value = rest.pop()
        if isinstance(value, dict):
            rest += value.items()
        elif isinstance(value, list):
            rest += ((key, one) for one in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if key in SHARES and not 0 <= value <= 1:
                return f"{key} is {in_words(value)}, a share in 0..1 is expected"
            if not abs(value) < LARGEST:
                return f"{key} is {in_words(value)}"
    return None


def _between_marks(page: Path, text: str) -> str:
    old = page.read_text() if page.exists() else ""
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{text}{end}{after}" if begin and end else text


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
