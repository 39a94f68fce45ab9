"""``viewfinder clusters``: measure choices of Z before training, and recommend one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from viewfinder.core.console import console, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically, write_figure, writing
from viewfinder.data.source import Attributes, Split
from viewfinder.information.discrete import Unit
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attribute_file import attributes_of
from viewfinder.positives.attributes import attributes as by_attributes
from viewfinder.positives.cluster_file import read_clusters, write_clusters
from viewfinder.positives.hierarchy import hierarchy as by_hierarchy
from viewfinder.positives.hierarchy import tree_of
from viewfinder.positives.kmeans import kmeans as by_kmeans
from viewfinder.positives.needs import all_labels
from viewfinder.positives.sweep import (
    Sweep,
    records,
    sweep,
    sweep_attributes,
    sweep_hierarchy,
    sweep_kmeans,
)
from viewfinder.recipes.recipe import build as build_recipe
from viewfinder.runs.opening import only, open_data, training_split
from viewfinder.runs.run import Run, pick_device

Build = Callable[[int], Assignment]

SHOWN = (
    *("clusters", "median", "largest", "singletons"),
    *("H(Z)", "I(Z;T)", "H(Z|T)", "I-H", "NMI", "AMI"),
)
"""The columns that fit a terminal of 80 characters; clusters.csv has all."""


def clusters(
    spec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    attributes: str | None = None,
    hierarchy: str | None = None,
    kmeans: Run | None = None,
    z: str | None = None,
    value: int | None = None,
    unit: Unit = "bits",
    out: Path = Path("clusters"),
) -> Path:
    """Measure what could count as the same in a source, recommend, and write Z; returns its file.

    overrides   of data.* and positives.*, nested: {"positives": {"bins": 4}}
    attributes  file of attributes; hierarchy: file of a tree; z: file of clusters that exist;
                kmeans: a run whose outputs are clustered. One of them, or none for what the source
                itself brings
    value       of the sweep, whose Z is written; None: the recommended

    Raises UserError for what cannot be read or swept.
    """
    given = only(overrides or {}, ("data", "positives"))
    data, settings = dict(given.get("data", {})), given.get("positives", {})
    swept = {"name", "file", "top_k", "level", "k"} & settings.keys()
    if swept:
        raise UserError(
            f"positives.{min(swept)} is not set here: the choice of clusters is swept",
            fix="--attributes, --hierarchy, --kmeans or --z; --value takes one of the sweep",
        )
    if kmeans is not None:
        data.setdefault("channels", kmeans.recipe().data.channels)
    part = build_recipe("simclr", {"data": {**data, "source": spec}}).data
    split = training_split(part, open_data(part, 0))
    found, make = choose(
        split,
        attributes_file=attributes,
        hierarchy_file=hierarchy,
        kmeans_run=kmeans,
        z_file=z,
        settings=settings,
        seed=0,
    )
    show(found, unit)
    return save(found, make, value, split, out, unit, spec)


def choose(
    split: Split,
    *,
    attributes_file: str | None,
    hierarchy_file: str | None,
    kmeans_run: Run | None,
    z_file: str | None,
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[Sweep, Build]:
    """The sweep of the one constructor asked for, and how to build Z for a value of it.

    With none asked for, what the source itself brings is used: its attributes, else its tree.
    ``settings`` are options of the constructor by name, such as bins.
    Raises UserError where more than one is asked for, or nothing can be swept, and for options that
    the constructor does not have.
    """
    asked = [x for x in (attributes_file, hierarchy_file, kmeans_run, z_file) if x is not None]
    if len(asked) > 1:
        raise UserError("one of --attributes, --hierarchy, --kmeans and --z at a time")
    labels = split.labels
    if z_file is not None:
        _options("file", {**settings, "file": z_file}, split)
        given = read_clusters(z_file, split)
        return sweep("file", [z_file], lambda _: given, labels), lambda _: given
    if kmeans_run is not None:
        o = _options("kmeans", settings)
        features = _outputs(kmeans_run, split, o.on)
        found = sweep_kmeans(features, labels, seed=seed, **o.settings)
        return found, lambda k: by_kmeans(features, k, seed=seed, **o.settings)
    if attributes_file is not None or (hierarchy_file is None and split.attributes is not None):
        o = _options("attributes", {**settings, "file": attributes_file}, split)
        known = attributes_of(split, o.file, o.reading, o.columns)
        table = known.described
        if o.columns is not None:
            table = _only_columns(table, o.columns)
        for note in known.notes:
            say(f"note: {note}")
        if known.known is not None:
            say(
                f"note: the table is of the {known.known.sum():,} images with a line; in Z the "
                f"{(~known.known).sum():,} others, each a cluster of its own, come on top"
            )
        rare = {"min_size": o.min_size, "rare": o.rare}
        if labels is not None and known.known is not None:
            labels = labels[known.known]
        found = sweep_attributes(table, labels, **rare)
        return found, lambda k: known.spread(by_attributes(table, top_k=k, **rare))
    if labels is None:
        raise UserError("there are no attributes and no labels to make clusters of", fix=CHOICES)
    o = _options("hierarchy", {**settings, "file": hierarchy_file}, split)
    try:
        tree, labels = tree_of(split, o.file, o.ambiguous), all_labels(split, "a class tree")
    except UserError as error:
        if hierarchy_file is not None:
            raise
        raise UserError(
            "of what are clusters to be made? These images bring no attributes, and their classes "
            f"give no tree: {error.message}",
            fix=CHOICES,
        ) from error
    return sweep_hierarchy(tree, labels), lambda level: by_hierarchy(tree, labels, level=level)


def _only_columns(table: Attributes, chosen: Sequence[str]) -> Attributes:
    """The columns that are chosen by name, whole or by one of their values."""
    kept = [
        i
        for i, name in enumerate(map(str, table.names))
        if name in chosen or any(one.split("=", 1)[0] == name.split("=", 1)[0] for one in chosen)
    ]
    return replace(table, values=table.values[:, kept], names=[table.names[i] for i in kept])


CHOICES = (
    "--attributes FILE.csv with a line per image, --kmeans RUN, --hierarchy FILE with the tree of "
    "the classes, or --z FILE of clusters that exist"
)


def _options(name: str, settings: Mapping[str, Any], split: Split | None = None) -> Any:
    """The options of a constructor, read as a recipe reads them; with a split, checked that it has
    what they need."""
    part = build_recipe("simclr", {"positives": {**settings, "name": name}}).positives
    if split is not None:
        try:
            part.row.check(part.options(), split)
        except UserError as error:  # here a file follows an option, and is no key
            fix = error.fix and error.fix.removeprefix("positives.file=")
            raise UserError(error.message, fix=fix) from error
    return part.options()


def _outputs(run: Run, split: Split, on: str) -> np.ndarray:
    """What the network of a run gives for the split: projections or features, (N, D)."""
    from torch import Tensor, nn

    from viewfinder.networks.frozen_features import extract
    from viewfinder.training.embedding import network_outputs
    from viewfinder.training.restore import restored

    module = restored(run)
    recipe = module.recipe
    device = pick_device(recipe.accelerator)
    view = recipe.view_maker().frozen

    def features(encoder: nn.Module) -> Tensor:
        return extract(encoder, split.data, view, device=device, precision=recipe.precision)

    return network_outputs(module.to(device), on, features).numpy()


def show(found: Sweep, unit: Unit) -> None:
    """Print the sweep as a table, its notes and the recommendation."""
    for note in found.notes:
        say(f"note: {note}")
    rows = records(found, unit)
    shown = [name for name in (found.parameter, *SHOWN) if name in rows[0]]
    table = Table(
        title=f"clusters by {found.parameter}, entropies in {unit}",
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for heading in shown:  # a long name of a file may be folded, a number never
        number = not isinstance(rows[0][heading], str)
        table.add_column(heading, justify="right", no_wrap=number, overflow="fold")
    for row in rows:
        chosen = row[found.parameter] == found.recommendation.value
        table.add_row(*[_cell(row[name]) for name in shown], style="bold" if chosen else "")
    console().print(table)
    recommendation = found.recommendation
    if recommendation.value is None:
        return
    say(
        f"recommended: {found.parameter}={recommendation.value}, by the rule: {recommendation.rule}"
    )
    for remark in recommendation.remarks:
        say(f"note: {remark}")


def _cell(value: object) -> str:
    if isinstance(value, float) and value % 1:
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:z.3f}"
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def save(
    found: Sweep, build: Build, value: int | None, split: Split, out: Path, unit: Unit, spec: str
) -> Path:
    """Write the sweep (clusters.csv), its figures, and Z for the value; returns Z's file."""
    import csv
    import io

    from viewfinder.positives.figures import curves, information_plane

    chosen = found.recommendation.value if value is None else value
    if chosen is None:
        raise UserError(". ".join(found.recommendation.remarks), fix="other attributes or clusters")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    rows = records(found, unit)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / "clusters.csv", text.getvalue())
    write_figure(curves(found, unit), out / "curves.png", dpi=150)
    if split.labels is not None:
        write_figure(information_plane(found, unit), out / "information_plane.png", dpi=150)
    file = out / "z.parquet"
    write_clusters(file, build(chosen), {"source": spec, found.parameter: str(chosen)}, split)
    return file
