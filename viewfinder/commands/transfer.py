"""``viewfinder evaluate --protocol transfer``: runs, seeds of one method or of several, over many
sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import same_source
from viewfinder.evaluation.probes.targets import find_target
from viewfinder.evaluation.probing import check_protocols
from viewfinder.evaluation.scoring import budget
from viewfinder.evaluation.tasks.transfer import (
    DEFAULT_PROTOCOL,
    KINDS,
    Memory,
    TransferSet,
    network_key,
    opened_set,
    parse_sets,
    scores_of,
)
from viewfinder.evaluation.tasks.transfer_table import Entry, row_names, seeds_apart, tables
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.opening import override, say_unfinished
from viewfinder.runs.own_data import check_there, check_unchanged, same_but_for_places
from viewfinder.runs.results import append_results
from viewfinder.runs.run import Run, load_encoder

_NOT_THE_METHOD = {
    "seed",
    "accelerator",
    "devices",
    "nodes",
    "strategy",
    "workers",
    "checkpoint_every",
    "logger",
    "evaluation",
}


def transfer(
    runs: Sequence[Run],
    words: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    protocols: Sequence[str] = (),
    baselines: bool = True,
) -> None:
    """Score runs on their own data and on ``words`` (see ``parse_sets``); print a table per probe.

    Runs that differ in nothing but the seed are one row, with mean and spread. Scores go into each
    run's results.json, the chart into its transfer.png, and both into its report.

    overrides  of every set's data.* and evaluation.*, nested: {"data": {"limit": 300}}
    protocols  probes of the classes; none: the linear one

    Raises UserError for whatever is wrong with any run or set, before anything is measured.
    """
    given = overrides or {}
    protocols = protocols or [DEFAULT_PROTOCOL]
    check_protocols(protocols)
    loaded = _loaded(runs, given)
    opened: dict[str, TransferSet] = {}
    plans = [
        (run, encoder, recipe, _sets_of(run, recipe, words, given, opened, trained))
        for run, encoder, recipe, trained in loaded
    ]
    entries = _measured(plans, protocols, KINDS if baselines else KINDS[:1])
    if not entries:
        raise UserError("nothing could be scored; the notes above say why")
    _show(entries, [run for run, *_ in loaded])


def _measured(
    plans: Sequence[tuple[Run, nn.Module, Recipe, Sequence[TransferSet]]],
    protocols: Sequence[str],
    kinds: Sequence[str],
) -> list[Entry]:
    """All scores, each kept in its run's results.json as soon as it is known."""
    names = row_names({str(run.folder): _method(recipe) for run, _, recipe, _ in plans})
    networks = {str(run.folder): network_key(recipe) for run, _, recipe, _ in plans}
    memory: Memory = {}
    entries: list[Entry] = []
    steps = [(run, encoder, recipe, one) for run, encoder, recipe, sets in plans for one in sets]
    for done, (run, encoder, recipe, one) in enumerate(steps, start=1):
        say(f"{done}/{len(steps)} {run.folder} on {one.data.source}")
        for kind in kinds:
            try:
                scores = scores_of(
                    kind,
                    encoder,
                    recipe,
                    one,
                    protocols,
                    run.cache,
                    memory,
                    budget(kind, recipe, run),
                )
            except UserError as error:  # a set that cannot be scored must not cost the others
                say(f"note: {kind} features on {one.data.source} were not scored: {error}")
                continue
            append_results(run.results_file, scores)
            row, identity = _row(kind, str(run.folder), names, networks, recipe.seed)
            entries += [
                Entry(
                    row, identity or score.model_dump_json(), kind == "trained", score, recipe.seed
                )
                for score in scores
            ]
    return entries


def _show(entries: Sequence[Entry], runs: Sequence[Run]) -> None:
    from viewfinder.evaluation.tasks.transfer_chart import write_chart
    from viewfinder.report.gather import gather
    from viewfinder.report.page import write_report

    found = tables(entries)
    for table in found:
        table.show(console())
    if len(runs) > 1:
        say("mean ± standard deviation over runs")
    if apart := seeds_apart(entries):
        say(f"note: rows are of different seeds, compare those of the same: {apart}")
    for run in runs:
        write_chart(found, run.folder / "transfer.png")
        write_report(gather(run.folder), run.report)
    say(
        "each score's full protocol is in results.json; the chart is transfer.png in "
        + ", ".join(str(run.folder) for run in runs)
    )


def _loaded(
    runs: Sequence[Run], overrides: Mapping[str, Any]
) -> list[tuple[Run, nn.Module, Recipe, Recipe]]:
    """Each run once, with its encoder, its recipe as the overrides change it, and as it trained."""
    once = {run.folder.resolve(): run for run in runs}
    found = []
    for run in once.values():
        encoder, recipe, checkpoint = load_encoder(run)
        say_unfinished(recipe, checkpoint)
        changed = override(recipe, overrides)
        if changed.data.source != recipe.data.source:
            raise UserError("data.source cannot be set here", fix=f"--data {changed.data.source}")
        found.append((run, encoder, changed, recipe))
    return found


def _sets_of(
    run: Run,
    recipe: Recipe,
    words: Sequence[str],
    overrides: Mapping[str, Any],
    opened: dict[str, TransferSet],
    trained: Recipe,
) -> list[TransferSet]:
    """The run's own set, where it has labels or factors of it are asked for, then the others."""
    own = recipe.data
    named = parse_sets(words)
    asked = {spec: wanted for spec, wanted in named.items() if not same_source(spec, own.source)}
    mine = [spec for spec in named if spec not in asked]
    targets = tuple(dict.fromkeys(word for spec in mine for word in named[spec]))
    try:
        check_there(run, recipe)
        first = opened_set(own, recipe.seed, targets, opened, run, trained)
        if same_but_for_places(own, trained.data):
            first = replace(first, source=check_unchanged(run, first.source, asked=bool(mine)))
    except UserError as error:
        if targets or not asked:
            raise
        say(f"note: {own.source}, the runs' own data, is not scored: {error}")
        return [
            _other(run, recipe, overrides, spec, wanted, opened, trained)
            for spec, wanted in asked.items()
        ]
    test = first.source.test
    labelled = first.source.train.labels is not None and test is not None
    if labelled and None not in targets:
        find_target(first.source, None)
        targets = (None, *targets)
    elif not labelled:
        say(f"note: {own.source}, the runs' own data, has no labels and is not scored by class")
    sets = [replace(first, targets=targets)] if targets else []
    others = [
        _other(run, recipe, overrides, spec, wanted, opened, trained)
        for spec, wanted in asked.items()
    ]
    return [*sets, *others]


def _other(
    run: Run,
    recipe: Recipe,
    overrides: Mapping[str, Any],
    spec: str,
    targets: tuple[str | None, ...],
    opened: dict[str, TransferSet],
    trained: Recipe,
) -> TransferSet:
    data = override(recipe, overrides, spec).data
    return opened_set(data, 0, targets, opened, run, trained)


def _method(recipe: Recipe) -> Mapping[str, Any]:
    """What two runs must share to be seeds of one method."""
    plain = recipe.model_dump(mode="json", exclude=_NOT_THE_METHOD)
    return {**plain, "regularizers": str(recipe.regularizers)}


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
