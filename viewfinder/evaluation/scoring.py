"""A trained encoder beside its baselines: scores with their protocols, artifacts, the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from torch import nn

from viewfinder import __version__
from viewfinder.core.console import console, say
from viewfinder.core.counted import counted
from viewfinder.core.errors import InterruptedRun, RunStopped, UserError
from viewfinder.data.source import Source, Split
from viewfinder.data.splits import select
from viewfinder.data.stored import JoinedData
from viewfinder.evaluation.embed import write_embeddings
from viewfinder.evaluation.pictured import save_artifacts
from viewfinder.evaluation.pixels import RAW, raw_name
from viewfinder.evaluation.probes.scores import IMAGES, Score, comparable, conditions
from viewfinder.evaluation.probes.targets import find_target
from viewfinder.evaluation.probing import LAYER, check_protocols, probe, untrained
from viewfinder.recipes.recipe import Recipe, build, merge
from viewfinder.recipes.views import Views
from viewfinder.report.verdict import verdict
from viewfinder.runs.checkpoint import epoch_of, epochs_done
from viewfinder.runs.results import append_results, read_results
from viewfinder.runs.run import Run, pick_device

if TYPE_CHECKING:
    from viewfinder.training.module import Pretraining

_SHARED = {"plugins", "encoder", "data", "precision", "accelerator"}
"""What the supervised baseline has of the run's recipe."""


def finish(recipe: Recipe, source: Source, run: Run, module: Pretraining) -> None:
    """Score the encoder and its baselines, store what the report shows, and write it."""
    from viewfinder.report.gather import gather
    from viewfinder.report.page import write_report

    save_artifacts(recipe, source, run, module)
    if has_labels(source):
        kinds = ["trained", *(baselines(source) if recipe.evaluation.baselines else ())]
        entries: list[Score] = []
        for kind in kinds:
            try:
                entries += score(recipe, source, run, module.encoder, [kind])
            except UserError as error:  # one that cannot be scored must not cost the report
                say(f"note: {kind} features were not scored: {error}")
        print_scores(entries)
        for sentence in verdict(entries, recipe.plain()):
            say(sentence)
    else:
        ways = (
            f" With labelled images: viewfinder evaluate {run.folder} --data SOURCE; with a table "
            "of labels: data.labels=FILE.csv"
        )
        told = f"{recipe.data.source} has no labels, so nothing is scored."
        say(told + (ways if recipe.data.modality == "images" else ""))
    write_report(gather(run.folder), run.report)
    say(f"report: {run.report}")


def is_finished(recipe: Recipe, source: Source, run: Run) -> bool:
    """Whether a run has all that it was to have: its epochs, its scores and its report."""
    last = run.last_checkpoint()
    if last is None or epochs_done(last) < recipe.epochs or not run.report.exists():
        return False
    if not has_labels(source):
        return True
    kinds = ["trained", *(baselines(source) if recipe.evaluation.baselines else ())]
    own = [s for s in read_results(run.results_file) if s.protocol.get("data") == source.spec]
    return {(kind, one) for kind in kinds for one in recipe.evaluation.protocols} <= {
        (score.features, score.protocol.get("protocol")) for score in own
    }


def has_labels(source: Source) -> bool:
    """Whether train and test both have labels, so that probes can be fitted and measured."""
    test = source.test
    return source.train.labels is not None and test is not None and test.labels is not None


def baselines(source: Source) -> list[str]:
    """Whose features stand beside the trained ones."""
    return ["untrained", raw_name(source.train.data.modality), "supervised"]


def score(
    recipe: Recipe,
    source: Source,
    run: Run,
    encoder: nn.Module,
    kinds: Sequence[str],
) -> list[Score]:
    """Scores of ``kinds`` ("trained" and baselines) under the recipe's protocols, kept in the run.

    Every kind is probed in the same way on the same data; each is stored as soon as it is known.
    """
    check_protocols(recipe.evaluation.protocols)
    find_target(source, None)
    entries: list[Score] = []
    for kind in kinds:
        seen, views = _encoder_of(kind, recipe, source, run, encoder)
        found = probe(
            kind,
            seen,
            recipe.model_copy(update={"views": views}),
            source,
            recipe.evaluation.protocols,
            cache=run.cache,
            facts=budget(kind, recipe, run),
        )
        append_results(run.results_file, found)
        entries += [one for one in found if isinstance(one, Score)]
    return entries


def budget(kind: str, recipe: Recipe, run: Run) -> dict[str, JsonValue]:
    """How long an encoder was trained, for the protocol of its scores."""
    if kind == "supervised":
        return {"epochs": _supervised_epochs(recipe)}
    last = run.last_checkpoint()
    return {"epochs": epoch_of(last)} if kind == "trained" and last is not None else {}


def _supervised_epochs(recipe: Recipe) -> int:
    return recipe.evaluation.supervised_epochs or recipe.epochs


def _encoder_of(
    kind: str, recipe: Recipe, source: Source, run: Run, encoder: nn.Module
) -> tuple[nn.Module | None, Views]:
    """The encoder whose features a kind is, None for the data themselves; and what it is shown."""
    if kind in RAW:
        return None, recipe.views
    if kind == "untrained":
        return untrained(recipe), recipe.views
    if kind == "supervised":
        return _supervised(recipe, source, run)
    return encoder, recipe.views


def _supervised(recipe: Recipe, source: Source, run: Run) -> tuple[nn.Module, Views]:
    """The same encoder trained with labels on the same images, as a run within the run; and its
    views, of whole images also where the run's own networks see a part of their channels."""
    from viewfinder.training.fit import fit  # the engine takes seconds to import

    epochs = _supervised_epochs(recipe)
    own = recipe.model_dump(mode="json", include=_SHARED)
    shared = {
        "seed": recipe.seed,
        "batch_size": min(recipe.batch_size, len(_labelled(source.train))),
        "workers": recipe.workers,
        "logger": "none",
    }
    views: dict[str, Any] = {"size": recipe.views.size}
    if recipe.data.modality != "images":  # there is no preset for them
        views = {key: v for key, v in recipe.plain()["views"].items() if key != "count"}
    layers = merge(own, shared, {"views": views, "epochs": epochs})
    supervised = build("cross-entropy", layers)
    inner = Run(run.folder / "baselines" / "supervised", role="supervised baseline")
    split = _labelled(source.train)
    say(f"supervised baseline: the same encoder trained with labels, {counted(epochs, 'epoch')}")
    try:
        module = fit(
            supervised,
            split,
            inner,
            console(),
            "supervised baseline",
            history=False,
        )
    except InterruptedRun as stop:
        raise InterruptedRun(run.folder) from stop
    except RunStopped as error:
        raise UserError(f"the supervised baseline stopped: {error}") from error
    return module.encoder, supervised.views


def _labelled(split: Split) -> Split:
    """The images that have a label."""
    assert split.labels is not None  # a source without is not scored
    rows = np.flatnonzero(split.labels >= 0)
    return split if len(rows) == len(split) else select(split, rows, split.name)


def input_facts(described: str) -> dict[str, Any]:
    """What an encoder is shown, from ``describe_frozen``: the shape, and the mean and the standard
    deviation that images in [0, 1] are normalised with; none of it where it is said otherwise.

    >>> input_facts('[[3, 32, 32], [{"normalise": {"mean": [0.5], "std": [0.2]}}]]')
    {'input_shape': [3, 32, 32], 'mean': [0.5], 'std': [0.2]}
    """
    try:
        shape, *_, steps = json.loads(described)
        found: dict[str, Any] = {"input_shape": shape}
        for step in steps:
            if isinstance(step, dict) and isinstance(step.get("normalise"), dict):
                found |= {key: step["normalise"][key] for key in ("mean", "std")}
    except (ValueError, TypeError, KeyError):  # a maker of one's own may say anything
        return {}
    return found


def write_all_embeddings(
    recipe: Recipe,
    source: Source,
    encoder: nn.Module,
    out: Path,
    split: str | None,
    *,
    unit_length: bool = False,
    about: Mapping[str, Any] | None = None,
) -> int:
    """Embed one split, or all of them, into a file; returns the number of rows.

    In float32, whatever the precision of the training: as ``viewfinder.runs.model.Model`` does.
    ``about``: of what run they are; what else there is to know is added.
    """
    chosen = [s for name, s in source.splits.items() if split in (None, name)]
    paths = [p for s in chosen for p in s.paths or ()]
    labels = [
        np.full(len(s), -1) if s.labels is None else s.labels
        for s in chosen
        if any(one.labels is not None for one in chosen)
    ]
    rows = sum(len(s) for s in chosen)
    maker = recipe.view_maker()
    write_embeddings(
        encoder,
        JoinedData([s.data for s in chosen]),
        maker.frozen,
        out,
        index=np.concatenate([s.factors.get("source_row", np.arange(len(s))) for s in chosen]),
        paths=paths if len(paths) == rows else None,
        labels=np.concatenate(labels) if labels else None,
        class_names=next((s.class_names for s in chosen if s.class_names is not None), None),
        splits=[s.name for s in chosen for _ in range(len(s))],
        unit_length=unit_length,
        device=pick_device(recipe.accelerator),
        precision="32",
        about={
            **(about or {}),
            "data": source.spec,
            "layer": LAYER,
            "encoder": recipe.plain()["encoder"],
            "data_size": recipe.data.size,
            "network_input": maker.describe_frozen(),
            **input_facts(maker.describe_frozen()),
            "unit_length": unit_length,
            "precision": "32",
            "viewfinder": __version__,
        },
    )
    return rows


def print_scores(entries: Sequence[Score], where: Console | None = None) -> None:
    """Tables of scores, one per choice of images, with a row per features, a column per probe."""
    on: dict[str, list[Score]] = {}
    for entry in entries:
        on.setdefault(conditions(entry, IMAGES), []).append(entry)
    for group in on.values():
        _print_table(group, where)


def _row_name(entry: Score) -> str:
    """Whose features they are, with what a rival was trained for."""
    epochs = entry.protocol.get("epochs")
    if entry.features != "supervised" or not isinstance(epochs, int):
        return entry.features
    return f"supervised, {counted(epochs, 'epoch')}"


def _print_table(entries: Sequence[Score], where: Console | None) -> None:
    columns = comparable(entries)
    table = Table(title="top-1 on held-out data, frozen features")
    table.add_column("features")
    for column in columns:
        table.add_column(str(column[0].protocol["protocol"]), justify="right")
    cells = [{_row_name(score): score.top1 for score in column} for column in columns]
    for kind in dict.fromkeys(map(_row_name, entries)):
        shown = [f"{100 * found[kind]:.2f} %" if kind in found else "" for found in cells]
        table.add_row(kind, *shown, style="bold" if kind == "trained" else "")
    (where or console()).print(table)
    first = entries[0]
    say(
        f"{first.protocol['data']}, {first.protocol['split']}: {first.protocol['n_train']:,} -> "
        f"{first.n_test:,} images; each score's full protocol is in results.json",
        where,
    )
