"""From a run folder to the content of its report."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.recipes.regularizers import weight_in_words
from viewfinder.report.artifacts import load_embeddings, load_views
from viewfinder.report.content import PARTS, Embedded, Measurement, ReportContent
from viewfinder.report.projection import thin
from viewfinder.report.sections import percent

T = TypeVar("T")

ARTIFACTS = "artifacts"
VIEWS = f"{ARTIFACTS}/views.npz"
EMBEDDINGS = f"{ARTIFACTS}/embeddings.npz"


def gather(run_dir: Path) -> ReportContent:
    """Read a run folder; what is missing or damaged is left out, and a note says so.

    recipe.yaml               the recipe
    metrics.csv               one row an epoch: epoch, loss, feature_std, rankme, ...
    usage.csv                 the share of each prototype, one row an epoch, where there are any
    results.json              a list of scores as ``evaluation.scores`` writes it; what a score was
                              measured by and on is its protocol's "protocol" and "data"
    artifacts/views.npz       written by ``save_views``
    artifacts/embeddings.npz  written by ``save_embeddings``

    Raises UserError where ``run_dir`` is not a folder.

    >>> write_report(gather(Path("runs/simclr-shapes")), Path("report.html"))  # doctest: +SKIP
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"there is no run folder {run_dir}", fix="the folder that pretrain printed")
    notes: list[str] = []
    text = _try(_text, run_dir / "recipe.yaml", notes) or ""
    recipe = _recipe(text, notes)
    seed = recipe.get("seed")
    seed = seed if isinstance(seed, int) and seed >= 0 else 0
    embedded = _thinned(_try(load_embeddings, run_dir / EMBEDDINGS, notes), seed, notes)
    entries = _try(_entries, run_dir / "results.json", notes) or []
    scores = [score for entry in entries if (score := _score(entry, notes))]
    return ReportContent(
        title=_title(recipe, run_dir),
        summary=_summary(scores),
        method={part: _part(part, recipe[part]) for part in PARTS if part in recipe},
        recipe=text,
        history=_try(_history, run_dir / "metrics.csv", notes) or {},
        usage=_usage(run_dir / "usage.csv", notes),
        scores=scores,
        gallery=_try(load_views, run_dir / VIEWS, notes),
        embedded=embedded,
        notes=notes,
        seed=seed,
    )


def _try(read: Callable[[Path], T], path: Path, notes: list[str]) -> T | None:
    """What ``read`` finds at ``path``, or None and a note."""
    try:
        return read(path)
    except FileNotFoundError:
        notes.append(f"There is no {path.name} in the run folder.")
    except (OSError, ValueError, csv.Error) as error:
        notes.append(f"{path.name} was left out: {error}.")
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _recipe(text: str, notes: list[str]) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        notes.append(f"recipe.yaml is not YAML: {error}.")
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _title(recipe: Mapping[str, Any], run_dir: Path) -> str:
    data = recipe.get("data")
    source = data.get("source") if isinstance(data, Mapping) else data
    method = recipe.get("method")
    return f"{method} on {source}" if method and source else run_dir.resolve().name


def _part(part: str, value: Any) -> str:
    """A part of the recipe in a few words: its name, then the options that matter to a reader."""
    if not isinstance(value, Mapping):
        return "none" if value in (None, [], "") else str(value)
    if part == "views":
        words = [str(value.get("preset", ""))]
        count, size = value.get("count"), value.get("size")
        words += [f"{count} views"] if count else []
        words += [f"{size} px"] if size else []
        return ", ".join(word for word in words if word)
    if part == "regularizers":
        weights = {k: v.get("weight") for k, v in value.items() if isinstance(v, Mapping)}
        weights["noise"] = value.get("noise")
        used = {k: told for k, v in weights.items() if (told := _weight(v))}
        return " + ".join(f"{k} {told}" for k, told in used.items()) or "none"
    name = str(value.get("name", ""))
    options = {k: v for k, v in value.items() if k != "name"}
    if options.get("sampler") == "shuffle":
        del options["sampler"]  # as everywhere
    plain = [f"{k} {v}" for k, v in options.items() if isinstance(v, str | int | float)]
    return ", ".join([name, *plain] if name else plain) or "none"


def _weight(value: Any) -> str:
    """A weight, or one per view, in words; "" where it is 0 or no weight."""
    several = value if isinstance(value, list) else [value]
    numbers = [number for one in several if (number := _number(one)) is not None]
    if not any(numbers):
        return ""
    return weight_in_words(numbers if isinstance(value, list) else numbers[0])


def _history(path: Path) -> dict[str, list[float | None]]:
    """Columns of metrics.csv by epoch. Rows of one epoch are joined, a later value winning."""
    rows: dict[float, dict[str, float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = [name for name in reader.fieldnames or [] if name and name != "epoch"]
        for number, row in enumerate(reader, start=1):
            epoch = _number(row.get("epoch"))
            found = {name: value for name in columns if (value := _number(row[name])) is not None}
            rows.setdefault(number if epoch is None else epoch, {}).update(found)
    if not rows:
        return {}
    epochs = sorted(rows)
    history: dict[str, list[float | None]] = {"epoch": [*epochs]}
    return history | {c: [rows[e].get(c) for e in epochs] for c in columns}


def _usage(path: Path, notes: list[str]) -> list[float]:
    """The last row of usage.csv; empty for methods without prototypes."""
    if not path.exists():
        return []
    lines = (_try(_text, path, notes) or "").split()
    shares = [_number(cell) for cell in lines[-1].split(",")[1:]] if len(lines) > 1 else []
    known = [s for s in shares if s is not None and math.isfinite(s) and s >= 0]
    if len(known) < len(shares):
        notes.append("usage.csv was left out: its last row does not hold shares.")
        return []
    return known


def _number(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _entries(path: Path) -> list[Any]:
    entries = json.loads(_text(path))
    if not isinstance(entries, list):
        raise ValueError("a list of scores was expected")
    return entries


def _score(entry: Any, notes: list[str]) -> Measurement | None:
    if not isinstance(entry, Mapping):
        notes.append("An entry of results.json is not a score and was left out.")
        return None
    protocol = _mapping(entry.get("protocol"))
    return Measurement(
        features=str(entry.get("features", "features")),
        probe=str(protocol.get("protocol", "")),
        top1=_fraction(entry.get("top1")),
        top5=_fraction(entry.get("top5")),
        per_class={str(k): _fraction(v) for k, v in _mapping(entry.get("per_class")).items()},
        protocol=dict(protocol) | ({"n_test": entry["n_test"]} if "n_test" in entry else {}),
        data=str(protocol.get("data", "")),
        r2=_at_most_one(entry.get("r2")),
        error=_error(entry),
    )


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _fraction(value: Any) -> float | None:
    """A number in 0..1; anything else is no measured fraction and is shown as missing."""
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _at_most_one(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and -math.inf < number <= 1 else None


def _error(entry: Mapping[str, Any]) -> str:
    number = _number(entry.get("error"))
    if number is None or not math.isfinite(number):
        return ""
    return f"{number:.3g} {entry.get('unit', '')}".strip()


def _thinned(embedded: Embedded | None, seed: int, notes: list[str]) -> Embedded | None:
    if embedded is None:
        return None
    finite = np.isfinite(embedded.vectors).all(axis=1)
    if not finite.all():
        lost = int((~finite).sum())
        notes.append(f"{lost} of {len(embedded)} embeddings are not finite and were left out.")
        embedded = embedded.take(np.flatnonzero(finite))
    kept = thin(len(embedded), seed)
    if len(kept) < len(embedded):
        notes.append(
            f"The map and the neighbours show {len(kept):,} of {len(embedded):,} embedded images, "
            f"drawn by seed {seed}."
        )
    return embedded.take(kept)


def _summary(scores: Sequence[Measurement]) -> str:
    """The result in a sentence: what the first probe reads from the trained features, and else."""
    measured = [s for s in scores if s.top1 is not None]
    own = next((s for s in measured if s.features == "trained"), None)
    if own is None:
        return ""
    peers = {
        s.features: s.top1
        for s in measured
        if s.probe == own.probe and s.data == own.data and s is not own
    }
    phrases = {
        "untrained": "by the same encoder untrained",
        "raw pixels": "by raw pixels",
        "raw values": "by the data themselves",
        "supervised": "by the same encoder trained with labels",
    }
    others = [f"{percent(peers[name])} {text}" for name, text in phrases.items() if name in peers]
    return (
        f"{_probe(own.probe)} on the frozen features names the class of {percent(own.top1)} of "
        f"held-out images{'; ' if others else ''}{', '.join(others)}."
    )


def _probe(probe: str) -> str:
    return PROBES[probe].phrase if probe in PROBES else probe or "A probe"
