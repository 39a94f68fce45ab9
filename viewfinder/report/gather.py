"""From a run folder to the content of its report."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.scores import IMAGES, AnyScore, Score, comparable, conditions
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.recipes.regularizers import weight_in_words
from viewfinder.report.artifacts import load_embeddings, load_same, load_views
from viewfinder.report.content import PARTS, Embedded, ReportContent, Same
from viewfinder.report.projection import thin
from viewfinder.report.sections import budget, percent
from viewfinder.report.verdict import headline, verdict
from viewfinder.runs.origin import origin_of
from viewfinder.runs.results import read_results
from viewfinder.runs.run import Run

T = TypeVar("T")


def gather(run_dir: Path) -> ReportContent:
    """Read a run folder; what is missing or damaged is left out, and a note says so.

    recipe.yaml               the recipe, as plain data: no plug-in is needed
    metrics.csv               one row per epoch: epoch, loss, feature_std, rankme, ...
    usage.csv                 the share of each prototype, one row per epoch, where there are any
    results.json              scores, as ``append_results`` writes them
    artifacts/views.npz       written by ``save_views``
    artifacts/embeddings.npz  written by ``save_embeddings``
    artifacts/same.npz        written by ``save_same``, where images counted as the same

    Raises UserError where ``run_dir`` is not a folder.

    >>> write_report(gather(Path("runs/simclr-shapes")), Path("report.html"))  # doctest: +SKIP
    """
    run = Run(Path(run_dir))
    if not run.folder.is_dir():
        raise UserError(f"there is no run folder {run_dir}", fix="the folder that pretrain printed")
    notes: list[str] = []
    recipe = _try(lambda _: run.plain_recipe(), run.recipe_file, notes) or {}
    seed = recipe.get("seed")
    seed = seed if isinstance(seed, int) and seed >= 0 else 0
    if run.origin_file.exists() and (
        origin := _try(lambda _: origin_of(run), run.origin_file, notes)
    ):
        notes.append(origin.in_words())
    embeddings = _try(load_embeddings, run.artifacts / "embeddings.npz", notes)
    scores = _own_first(_try(_scores, run.results_file, notes) or [], _source(recipe))
    return ReportContent(
        title=_title(recipe, run.folder),
        summary=_summary(scores),
        verdict=verdict([s for s in scores if _same_images(s, scores[0])], recipe),
        headline=headline([s for s in scores if _same_images(s, scores[0])], recipe),
        folder=str(run.folder),
        method={part: _part(part, recipe[part]) for part in PARTS if part in recipe},
        recipe=_try(_text, run.recipe_file, []) or "",
        history=_try(_history, run.metrics_file, notes) or {},
        usage=_usage(run.usage_file, notes),
        scores=scores,
        gallery=_try(load_views, run.artifacts / "views.npz", notes),
        same=_same(run.artifacts / "same.npz", notes),
        embedded=_thinned(embeddings, seed, notes),
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


def _same(path: Path, notes: list[str]) -> Same | None:
    return _try(load_same, path, notes) if path.exists() else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _source(recipe: Mapping[str, Any]) -> str:
    """What the run was trained on; "" where its recipe does not say."""
    data = recipe.get("data")
    return str((data.get("source") if isinstance(data, Mapping) else data) or "")


def _title(recipe: Mapping[str, Any], folder: Path) -> str:
    method, source = recipe.get("method"), _source(recipe)
    return f"{method} on {source}" if method and source else folder.resolve().name


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
            epoch = _finite(row.get("epoch"))
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


def _finite(cell: Any) -> float | None:
    """A number that can be a place on an axis."""
    value = _number(cell)
    return value if value is not None and math.isfinite(value) else None


def _number(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def _scores(path: Path) -> list[AnyScore]:
    if not path.exists():
        raise FileNotFoundError(path)
    return read_results(path)


def _own_first(scores: Sequence[AnyScore], source: str) -> list[AnyScore]:
    """Those on the run's own data first, else in the order in which they were measured."""
    return sorted(scores, key=lambda s: s.protocol.get("data") != source)


def _same_images(score: AnyScore, other: AnyScore) -> bool:
    return conditions(score, IMAGES[:3]) == conditions(other, IMAGES[:3])


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


def _summary(scores: Sequence[AnyScore]) -> str:
    """The result in a sentence: what the first probe reads from the trained features, beside what
    it reads, by the same protocol, from others."""
    classes = [s for s in scores if isinstance(s, Score)]
    groups = ({s.features: s for s in group} for group in comparable(classes))
    group = next((group for group in groups if "trained" in group), None)
    if group is None:
        return ""
    own = group["trained"]
    phrases = {
        "untrained": "by the same encoder untrained",
        "raw pixels": "by raw pixels",
        "raw values": "by the data themselves",
        "supervised": "by the same encoder trained with labels",
    }
    if "supervised" in group and (length := budget(group["supervised"])):
        phrases["supervised"] += f" for {length}"
    others = [f"{percent(group[k].top1)} {text}" for k, text in phrases.items() if k in group]
    return (
        f"{_probe(own)} on the frozen features names the class of {percent(own.top1)} of "
        f"held-out images{'; ' if others else ''}{', '.join(others)}."
    )


def _probe(score: Score) -> str:
    name = str(score.protocol.get("protocol", ""))
    return PROBES[name].phrase if name in PROBES else name or "A probe"
