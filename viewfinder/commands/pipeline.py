"""What each command does, from words to a result: the only place where all parts meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from viewfinder.core import plugins
from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.data.source import Source, Split
from viewfinder.data.sources.table import open_source
from viewfinder.networks.encoders import ENCODERS, check_modality
from viewfinder.recipes.check import check_data, check_parts
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import (
    Recipe,
    build,
    complete,
    merge,
    named_plugins,
    parse_overrides,
)
from viewfinder.runs.new_run import is_first_process, new_folder, remove_if_nothing_ran
from viewfinder.runs.run import Run


def resolved(
    method: str | None, words: Sequence[str], file: Path | None, *, trusted: bool = True
) -> Recipe:
    """The complete recipe of a command line, checked against itself and its data.

    ``trusted`` is as in ``build``: False for a file found in a run folder.
    """
    recipe = build(method, parse_overrides(words), file, trusted=trusted)
    check_parts(recipe)
    # Standard output is the recipe alone, so that it can be sent into a file.
    return _with_data(recipe, Console(emoji=False, stderr=True))[0]


def pretrain(method: str | None, words: Sequence[str], file: Path | None, out: Path | None) -> Run:
    """A new run: train, score beside the baselines, write the report."""
    recipe = build(method, parse_overrides(words), file)
    check_parts(recipe)
    recipe, source = _with_data(recipe)
    run = Run(new_folder(out, recipe.method))
    if is_first_process():
        write_atomically(run.recipe_file, recipe.to_yaml())
    try:
        return _train_and_finish(recipe, source, run)
    except UserError:
        remove_if_nothing_ran(run)
        raise


def resume(folder: Path, words: Sequence[str] = ()) -> Run:
    """Continue a run where its newest checkpoint stands; the result is as if never interrupted.

    ``words`` may load the plug-ins that it needs, and nothing else.
    """
    if load_plugins(words):
        raise UserError(
            "--resume continues a run exactly as it was started, so it takes no other words than "
            "the plugins= it needs",
            fix="a new run for another recipe",
        )
    run = Run(folder)
    recipe = run.recipe()
    check_parts(recipe)
    recipe, source = _with_data(recipe)
    return _train_and_finish(recipe, source, run)


def load_plugins(words: Sequence[str]) -> list[str]:
    """Import the modules of the words ``plugins=...``; returns the other words."""
    own = [word for word in words if word.partition("=")[0] == "plugins"]
    plugins.load(named_plugins(parse_overrides(own)))
    return [word for word in words if word not in own]


def open_data(data: Data, seed: int, where: Console | None = None) -> Source:
    """The source that a recipe's data part names; its notes are printed."""
    where = where or console()
    source = open_source(data.source, **data.options(), seed=seed)
    for note in source.notes:
        say(f"note: {note}", where)
    if source.unreadable:
        shown = [f"  {path}: {reason}" for path, reason in source.unreadable[:5]]
        more = len(source.unreadable) - len(shown)
        lines = [*shown, f"  and {more} more (viewfinder data lists them)"] if more else shown
        say("\n".join(lines), where)
    return source


def training_split(data: Data, source: Source) -> Split:
    """The split to pretrain on."""
    if data.split not in source.splits:
        known = ", ".join(sorted(source.splits))
        raise UserError(f"data.split={data.split}, but {data.source} has {known}")
    return source.splits[data.split]


def _check_kind(recipe: Recipe, source: Source) -> None:
    """Raise UserError where the encoder of a run does not take what a source holds."""
    data, wanted = source.train.data, recipe.domain
    fits = data.modality == wanted.modality
    if not fits or (data.modality != "images" and data.shape != wanted.shape):
        raise UserError(
            f"{source.spec} holds {data.modality} of {'x'.join(map(str, data.shape))}; the encoder "
            f"of the run takes {wanted.modality} of {'x'.join(map(str, wanted.shape))}",
            fix=f"--data with {wanted.modality}",
        )


def _with_data(recipe: Recipe, where: Console | None = None) -> tuple[Recipe, Source]:
    source = open_data(recipe.data, recipe.seed, where)
    split = training_split(recipe.data, source)
    check_modality(ENCODERS[recipe.encoder.name], split.data.modality)
    recipe = complete(recipe, split.data.shape, split.data.modality)
    check_data(recipe, split)
    return recipe, source


def _train_and_finish(recipe: Recipe, source: Source, run: Run) -> Run:
    from viewfinder.evaluation.scoring import finish
    from viewfinder.training.fit import fit

    split = training_split(recipe.data, source)
    shape = "x".join(str(side) for side in split.data.shape)
    say(
        f"{recipe.method} on {recipe.data.source}: {len(split):,} {split.data.modality} of "
        f"{shape}, {recipe.epochs} epochs, run folder {run.folder}"
    )
    module = fit(recipe, split, run, console(), "pretraining")
    if is_first_process():
        finish(recipe, source, run, module, console())
    return run


def evaluate(
    folder: Path,
    protocols: Sequence[str] | None,
    data: str | None,
    words: Sequence[str],
    *,
    baselines: bool,
) -> None:
    """Score the encoder of a run on its own or other data; results are added to the run."""
    from viewfinder.evaluation.pixels import raw_name
    from viewfinder.evaluation.scoring import print_scores, score
    from viewfinder.report.gather import gather
    from viewfinder.report.page import write_report
    from viewfinder.runs.run import load_encoder

    words = load_plugins(words)
    run = Run(folder)
    encoder, recipe, _ = load_encoder(run)
    recipe = override(recipe, words, ("data", "evaluation"), data)
    source = open_data(recipe.data, recipe.seed)
    _check_kind(recipe, source)
    if protocols:
        own = recipe.evaluation.model_copy(update={"protocols": list(protocols)})
        recipe = recipe.model_copy(update={"evaluation": own})
    raw = raw_name(source.train.data.modality)
    kinds = ["trained", *(("untrained", raw) if baselines else ())]
    entries = score(recipe, source, run, encoder, kinds)
    print_scores(entries, console())
    write_report(gather(run.folder), run.report)


def embed(folder: Path, data: str, out: Path, words: Sequence[str], split: str | None) -> None:
    """Write the embedding of every image of a source as Parquet."""
    from viewfinder.evaluation.scoring import write_all_embeddings
    from viewfinder.runs.run import load_encoder

    words = load_plugins(words)
    encoder, recipe, _ = load_encoder(Run(folder))
    recipe = override(recipe, words, ("data",), data)
    source = open_data(recipe.data, recipe.seed)
    _check_kind(recipe, source)
    if split is not None and split not in source.splits:
        raise UserError(f"--split {split}: {data} has {', '.join(sorted(source.splits))}")
    rows = write_all_embeddings(recipe, source, encoder, out, split)
    say(f"{rows:,} embeddings written to {out}")


def describe(spec: str, words: Sequence[str]) -> None:
    """Print what is in a source."""
    from viewfinder.data.describe import describe as facts_of
    from viewfinder.data.describe import print_description

    given = _only(parse_overrides(load_plugins(words)), ("data",)).get("data", {})
    part = build("simclr", {"data": {**given, "source": spec}}).data
    source = open_source(part.source, **part.options())
    print_description(facts_of(source))


def clusters(
    spec: str,
    words: Sequence[str],
    *,
    attributes: str | None,
    hierarchy: str | None,
    kmeans: Path | None,
    z: str | None,
    value: int | None,
    nats: bool,
    out: Path,
) -> None:
    """Measure what could count as the same in a source, recommend, and write Z."""
    from viewfinder.commands import clusters as choosing

    overrides = _only(parse_overrides(load_plugins(words)), ("data", "positives"))
    given, settings = dict(overrides.get("data", {})), overrides.get("positives", {})
    swept = {"name", "file", "top_k", "columns", "level", "k"} & settings.keys()
    if swept:
        raise UserError(
            f"positives.{min(swept)} is not set here: the choice of clusters is swept",
            fix="--attributes, --hierarchy, --kmeans or --z; --value takes one of the sweep",
        )
    if kmeans is not None:
        given.setdefault("channels", Run(kmeans).recipe().data.channels)
    data = build("simclr", {"data": {**given, "source": spec}}).data
    split = training_split(data, open_data(data, 0))
    unit: Literal["bits", "nats"] = "nats" if nats else "bits"
    found, make = choosing.choose(
        split,
        attributes_file=attributes,
        hierarchy_file=hierarchy,
        kmeans_run=kmeans,
        z_file=z,
        settings=settings,
        seed=0,
        console=console(),
    )
    choosing.show(found, unit, console())
    file = choosing.save(found, make, value, split, out, unit, spec)
    same = " ".join([f"data={spec}", *(w for w in words if not w.startswith("positives"))])
    say(
        f"{file} written, and all columns and figures beside it; train with it: viewfinder "
        f"pretrain ci-infonce-batch {same} positives=file:{file}"
    )


def _only(overrides: Mapping[str, Any], allowed: tuple[str, ...]) -> Mapping[str, Any]:
    for key in overrides:
        if key not in allowed:
            raise UserError(
                f"{key} cannot be set here, only {', '.join(f'{a}.*' for a in allowed)}"
            )
    return overrides


def override(
    recipe: Recipe, words: Sequence[str], allowed: tuple[str, ...], source: str | None
) -> Recipe:
    """A run's recipe with other data or evaluation settings; the encoder's channels stay.

    Other data starts from the defaults of the data part: a limit or label file of the training
    data says nothing about it.
    """
    given = dict(_only(parse_overrides(words), allowed))
    own = recipe.model_dump(mode="json", exclude={"objective"})
    if source is not None and source != recipe.data.source:
        kept = ("channels", "modality", "shape")
        own["data"] = {"source": source, **{key: own["data"][key] for key in kept}}
    layers = merge({"data": own["data"], "evaluation": own["evaluation"]}, given)
    changed = build(recipe.method, layers)
    if changed.data.channels != recipe.data.channels:
        raise UserError(
            f"data.channels={changed.data.channels}, but the encoder takes {recipe.data.channels}; "
            "images are converted to that",
            fix=f"leave data.channels out, or pretrain with data.channels={changed.data.channels}",
        )
    return recipe.model_copy(update={"data": changed.data, "evaluation": changed.evaluation})


def print_methods() -> None:
    """Print the table of methods, and what each is in a line."""
    from rich.box import SIMPLE_HEAD

    from viewfinder.report.content import PARTS

    table = Table(
        title="Every method is a choice of five parts; any part can be overridden",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("method", *PARTS):
        table.add_column(heading.replace("regularizers", "regular-\nizers"), no_wrap=True)
    for name in METHODS:
        recipe = build(name)
        size = getattr(recipe.negatives.options(), "size", None)
        small = f" + {recipe.views.small_count} small" if recipe.views.small_count else ""
        table.add_row(
            name,
            f"{recipe.views.count} {recipe.views.preset or 'own steps'}{small}",
            recipe.positives.name,
            f"{recipe.negatives.name} {size}" if size else recipe.negatives.name,
            recipe.objective.name,
            str(recipe.regularizers),
        )
    console().print(table)
    lines = Table.grid(padding=(0, 2, 0, 0))
    for name, method in METHODS.items():
        recipe = build(name)
        target = recipe.target.name + (" with a predictor" if recipe.head.predictor else "")
        source = f" ({method.paper})" if method.paper else ""
        lines.add_row(name, f"{method.summary}; target {target}{source}")
    console().print(lines)
