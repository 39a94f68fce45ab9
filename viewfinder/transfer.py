"""Transfer: frozen encoders over many sets, each set opened and encoded once.

The set that a run was trained on comes first, with the split of the run's own seed; the others have
the split of seed 0, so that all runs see the same images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from viewfinder.data.source import Source
from viewfinder.errors import UserError
from viewfinder.evaluation.scores import AnyScore, append_results
from viewfinder.evaluation.targets import find_target
from viewfinder.pipeline import console, open_data, override
from viewfinder.probing import check_protocols, content_key, probe, untrained
from viewfinder.recipe import Data, Recipe
from viewfinder.training.run import Run, load_encoder
from viewfinder.transfer_table import Entry, row_names, tables

KINDS = ("trained", "untrained", "raw pixels")
DEFAULT_PROTOCOL = "linear"
_ALLOWED = ("data", "evaluation")
_NOT_THE_METHOD = {
    "seed",
    "accelerator",
    "devices",
    "strategy",
    "workers",
    "checkpoint_every",
    "logger",
    "evaluation",
}


@dataclass(frozen=True)
class TransferSet:
    """A set to transfer to: how it was opened, its images, and what is read from them: the labels
    (None) or factors by name."""

    data: Data
    source: Source
    targets: tuple[str | None, ...] = (None,)


Memory = dict[str, list[AnyScore]]
"""Scores of baselines by all they depend on, so that runs that share them measure them once."""


def parse_sets(words: Iterable[str]) -> dict[str, tuple[str | None, ...]]:
    """Targets by spec, in order: ``SPEC`` asks for the labels, ``SPEC#A,B`` for factors A and B.

    >>> parse_sets(["mnist", "shapes#position,size", "shapes"])
    {'mnist': (None,), 'shapes': ('position', 'size', None)}
    """
    found: dict[str, list[str | None]] = {}
    for word in words:
        spec, mark, names = word.rpartition("#") if "#" in word else (word, "", "")
        if not spec or (mark and not all(names.split(","))):
            raise UserError(
                f"--data {word!r} is not SPEC or SPEC#FACTOR", fix="--data shapes#position,size"
            )
        targets = found.setdefault(spec, [])
        wanted = names.split(",") if mark else [None]
        targets += [target for target in wanted if target not in targets]
    return {spec: tuple(targets) for spec, targets in found.items()}


def open_sets(
    words: Iterable[str], recipe: Recipe, overrides: Sequence[str] = ()
) -> list[TransferSet]:
    """Open the sets named by ``words`` (see ``parse_sets``) for the encoder of a complete recipe.

    Images of other channels are converted (grey repeated, RGB to luma) with a note, or refused;
    ``overrides`` ("data.limit=1000") hold for every set. Every target is looked up at once, so a
    mistake costs nothing.

    Raises UserError for a set that cannot be opened or a target that cannot be measured.
    """
    return [
        _opened(override(recipe, overrides, _ALLOWED, spec).data, 0, targets, {})
        for spec, targets in parse_sets(words).items()
    ]


def transfer_scores(
    encoder: nn.Module,
    recipe: Recipe,
    sets: Sequence[TransferSet],
    *,
    protocols: Sequence[str] = (DEFAULT_PROTOCOL,),
    kinds: Sequence[str] = KINDS,
    cache: Path | None = None,
    memory: Memory | None = None,
) -> list[AnyScore]:
    """Scores of an encoder, and of its baselines, on every set.

    encoder    maps float (N, C, size, size) to (N, D)
    recipe     complete; of the run that trained the encoder
    protocols  probes of the classes; quantities have ridge regression
    kinds      of ``KINDS``
    cache      folder that keeps the features; None keeps none
    memory     baselines measured before, given again where they would be the same; added to

    Raises UserError for an unknown protocol, and what ``probe`` raises.

    >>> sets = open_sets(["mnist", "shapes#position"], recipe)  # doctest: +SKIP
    >>> transfer_scores(encoder, recipe, sets, protocols=["infocl"], kinds=["trained"])
    ... # doctest: +SKIP
    """
    check_protocols(protocols)
    found: list[AnyScore] = []
    for one in sets:
        for kind in kinds:
            found += _scores(kind, encoder, recipe, one, protocols, cache, memory)
    return found


def _scores(
    kind: str,
    encoder: nn.Module,
    recipe: Recipe,
    one: TransferSet,
    protocols: Sequence[str],
    cache: Path | None,
    memory: Memory | None,
) -> list[AnyScore]:
    recipe = recipe.model_copy(update={"data": one.data})
    if kind == "trained":
        key = None
        network: nn.Module | None = encoder
    elif kind == "untrained":
        key = f"{network_key(recipe)} {recipe.seed}"
        network = untrained(recipe)
    elif kind == "raw pixels":
        key, network = "", None
    else:
        raise UserError(f"unknown features {kind!r}. Known: {', '.join(KINDS)}")
    if memory is None or key is None:
        return probe(kind, network, recipe, one.source, protocols, targets=one.targets, cache=cache)
    content = [content_key(split) for split in one.source.splits.values()]
    key = repr((kind, key, one.source.spec, content, one.targets, list(protocols)))
    if key not in memory:
        memory[key] = probe(
            kind, network, recipe, one.source, protocols, targets=one.targets, cache=cache
        )
    return memory[key]


def network_key(recipe: Recipe) -> str:
    """Changes with what an untrained encoder and the way it sees images depend on, but the seed."""
    view = recipe.views.augmentations()[0]
    parts = {"encoder": recipe.encoder.model_dump(), "channels": recipe.data.channels}
    return json.dumps([parts, view.size, view.mean, view.std, recipe.precision], sort_keys=True)


def transfer(
    folders: Sequence[Path],
    words: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    protocols: Sequence[str] = (DEFAULT_PROTOCOL,),
    baselines: bool = True,
) -> None:
    """Score runs on their own data and on ``words`` (see ``parse_sets``); print one table a probe.

    Runs that differ in nothing but the seed are one row, with mean and spread. Scores go into each
    run's results.json, the chart into its transfer.png, and both into its report.

    Raises UserError for whatever is wrong with any run or set, before anything is measured.
    """
    check_protocols(protocols)
    runs = _loaded(folders, overrides)
    opened: dict[str, TransferSet] = {}
    plans = [
        (run, encoder, recipe, _sets_of(recipe, words, overrides, opened))
        for run, encoder, recipe in runs
    ]
    names = row_names({str(run.folder): _method(recipe) for run, _, recipe in runs})
    networks = {str(run.folder): network_key(recipe) for run, _, recipe in runs}
    memory: Memory = {}
    entries: list[Entry] = []
    kinds = KINDS if baselines else KINDS[:1]
    total = sum(len(sets) for *_, sets in plans)
    done = 0
    for run, encoder, recipe, sets in plans:
        for one in sets:
            done += 1
            _say(f"{done}/{total} {run.folder} on {one.data.source}")
            for kind in kinds:
                try:
                    scores = _scores(kind, encoder, recipe, one, protocols, run.cache, memory)
                except UserError as error:  # a set that cannot be scored must not cost the others
                    _say(f"note: {kind} features on {one.data.source} were not scored: {error}")
                    continue
                append_results(run.results_file, scores)
                row, identity = _row(kind, str(run.folder), names, networks, recipe.seed)
                entries += [
                    Entry(row, identity or score.model_dump_json(), kind == "trained", score)
                    for score in scores
                ]
    if not entries:
        raise UserError("nothing could be scored; the notes above say why")
    _show(entries, [run.folder for run, *_ in runs], len(runs))


def _show(entries: Sequence[Entry], folders: Sequence[Path], runs: int) -> None:
    from viewfinder.report.gather import gather
    from viewfinder.report.page import write_report
    from viewfinder.report.transfer_chart import write_chart

    found = tables(entries)
    for table in found:
        table.show(console())
    if runs > 1:
        _say("mean ± standard deviation over runs")
    for folder in folders:
        write_chart(found, folder / "transfer.png")
        write_report(gather(folder), Run(folder).report)
    _say(
        "each score's full protocol is in results.json; the chart is transfer.png in "
        + ", ".join(str(folder) for folder in folders)
    )


def _say(words: str) -> None:
    console().print(words, highlight=False, soft_wrap=True, markup=False)


def _loaded(
    folders: Sequence[Path], overrides: Sequence[str]
) -> list[tuple[Run, nn.Module, Recipe]]:
    """Each run once, with its encoder and its recipe as the overrides change it."""
    once = {folder.resolve(): folder for folder in folders}
    found = []
    for folder in once.values():
        run = Run(folder)
        encoder, recipe, _ = load_encoder(run)
        changed = override(recipe, overrides, _ALLOWED, None)
        if changed.data.source != recipe.data.source:
            raise UserError("data.source cannot be set here", fix=f"--data {changed.data.source}")
        found.append((run, encoder, changed))
    return found


def _sets_of(
    recipe: Recipe,
    words: Sequence[str],
    overrides: Sequence[str],
    opened: dict[str, TransferSet],
) -> list[TransferSet]:
    """The run's own set, where it has labels or factors of it are asked for, then the others."""
    asked = parse_sets(words)
    own = recipe.data
    targets = asked.pop(own.source, ())
    first = _opened(own, recipe.seed, targets, opened)
    test = first.source.test
    labelled = first.source.train.labels is not None and test is not None
    if labelled and None not in targets:
        targets = (None, *targets)
    elif not labelled:
        _say(f"note: {own.source}, the runs' own data, has no labels and is not scored by class")
    sets = [_opened(own, recipe.seed, targets, opened)] if targets else []
    for spec, wanted in asked.items():
        data = override(recipe, overrides, _ALLOWED, spec).data
        sets.append(_opened(data, 0, wanted, opened))
    return sets


def _opened(
    data: Data, seed: int, targets: tuple[str | None, ...], opened: dict[str, TransferSet]
) -> TransferSet:
    """Open a set, or take it from those that are open; its targets are looked up."""
    key = f"{seed} {data.model_dump_json()}"
    if key not in opened:
        _say(f"{data.source}:")
        opened[key] = TransferSet(data, open_data(data, seed))
    source = opened[key].source
    for target in targets:
        find_target(source, target)
    return TransferSet(data, source, targets)


def _method(recipe: Recipe) -> Mapping[str, Any]:
    """What two runs must share to be seeds of one method."""
    return recipe.model_dump(mode="json", exclude=_NOT_THE_METHOD)


def _row(
    kind: str, folder: str, names: Mapping[str, str], networks: Mapping[str, str], seed: int
) -> tuple[str, str]:
    """The row a score belongs to, and whose it is there: each identity counts once in a mean.

    Raw pixels are nobody's: equal scores are one.
    """
    if kind == "trained":
        return names[folder], folder
    if kind == "raw pixels":
        return kind, ""
    if len(set(networks.values())) == 1:
        return kind, str(seed)
    return f"{kind}, {names[folder]}", str(seed)
