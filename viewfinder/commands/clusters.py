"""``viewfinder clusters``: measure choices of Z before training, and recommend one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from viewfinder.core.console import console, say
from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError, printable
from viewfinder.core.files import write_atomically, write_figure, writing
from viewfinder.core.outputs import PICTURE, check_folder, check_out
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Attributes, Split
from viewfinder.information.discrete import Unit
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.attribute_file import attributes_of
from viewfinder.positives.attributes import attributes as by_attributes
from viewfinder.positives.cluster_file import MARK, read_clusters, write_clusters
from viewfinder.positives.hierarchy import hierarchy as by_hierarchy
from viewfinder.positives.hierarchy import tree_of
from viewfinder.positives.informative import Column, informative, repeats, without
from viewfinder.positives.kmeans import kmeans as by_kmeans
from viewfinder.positives.needs import all_labels
from viewfinder.positives.sweep import (
    Sweep,
    records,
    sweep,
    sweep_attributes,
    sweep_columns,
    sweep_hierarchy,
    sweep_kmeans,
)
from viewfinder.recipes.recipe import build as build_recipe
from viewfinder.runs.opening import only, open_data, training_split
from viewfinder.runs.run import Run, pick_device

Build = Callable[[int], Assignment]
COLUMNS_SHOWN = 30
"""Columns of attributes that the terminal lists; columns.csv has all."""

SHOWN = (
    *("clusters", "median", "largest", "singletons"),
    *("H(Z)", "I(Z;T)", "H(Z|T)", "I-H", "NMI", "AMI"),
)
"""The columns that fit a terminal of 80 characters; clusters.csv has all."""

FILES = {
    "clusters.csv": (b",clusters,", b"H(Z)"),
    "curves.png": PICTURE,
    "information_plane.png": PICTURE,
    "z.parquet": (MARK,),
}
"""What is written to the folder, and the marks by which it is known."""


def clusters(
    spec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    attributes: str | None = None,
    hierarchy: str | None = None,
    kmeans: Run | None = None,
    z: str | None = None,
    run: Run | None = None,
    value: int | None = None,
    unit: Unit = "bits",
    out: Path = Path("clusters"),
) -> Path | None:
    """Measure what could count as the same in a source, recommend, and write Z; returns its file,
    None where nothing is recommended and no value was given.

    Columns of attributes are ranked by name too, with what they say of the labels beyond chance;
    those that are the label under another name are left out of the clusters.

    overrides   of data.* and positives.*, nested: {"positives": {"bins": 4}}
    attributes  file of attributes; hierarchy: file of a tree; z: file of clusters that exist;
                kmeans: a run whose outputs are clustered. One of them, or none for what the source
                itself brings
    run         with attributes: a run among whose neighbours each column's agreement is measured
    value       of the sweep, whose Z is written; None: the recommended

    Raises UserError for what cannot be read or swept.
    """
    check_folder(out)
    for name, marks in FILES.items():
        check_out(out / name, marks)
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
    near = None if run is None else neighbours_in(run, spec, data, split)
    found, make, columns = choose(
        split,
        near=near,
        unit=unit,
        attributes_file=attributes,
        hierarchy_file=hierarchy,
        kmeans_run=kmeans,
        z_file=z,
        settings=settings,
        seed=0,
    )
    if near is not None and not columns:
        raise UserError("--run says how far its neighbours share attributes; there are none here")
    show(found, unit)
    return save(found, make, value, split, out, unit, spec, columns)


def choose(
    split: Split,
    *,
    attributes_file: str | None,
    hierarchy_file: str | None,
    kmeans_run: Run | None,
    z_file: str | None,
    settings: Mapping[str, Any],
    seed: int,
    near: np.ndarray | None = None,
    unit: Unit = "bits",
) -> tuple[Sweep, Build, Sequence[Column]]:
    """The sweep of the one constructor asked for, how to build Z for a value of it, and, of
    attributes, the columns, which are also printed.

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
        return sweep("file", [z_file], lambda _: given, labels), lambda _: given, ()
    if kmeans_run is not None:
        o = _options("kmeans", settings)
        features = _outputs(kmeans_run, split, o.on)
        found = sweep_kmeans(features, labels, seed=seed, **o.settings)
        return found, lambda k: by_kmeans(features, k, seed=seed, **o.settings), ()
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
        if near is not None and known.known is not None:
            near = _among(near, known.known)
        columns = informative(table, labels, near, seed)
        show_columns(table, columns, unit)
        table = without(table, [c.name for c in columns if c.is_copy])
        if all(c.is_copy for c in columns):
            raise UserError(
                "there is no column beside constant ones and copies of the label",
                fix="positives=labels counts images of one label as the same",
            )
        found = sweep_attributes(table, labels, **rare)
        say_by_name(table, labels, columns, unit)
        return found, lambda k: known.spread(by_attributes(table, top_k=k, **rare)), columns
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
    found = sweep_hierarchy(tree, labels)
    return found, lambda level: by_hierarchy(tree, labels, level=level), ()


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


def neighbours_in(
    run: Run, spec: str, data: Mapping[str, Any], split: Split, k: int = 10
) -> np.ndarray:
    """The k nearest of each image of the split in a run's embedding, int64 (N, k): rows of the
    split, -1 for an image of another. Raises UserError where an image is not among the run's."""
    from viewfinder.evaluation.run_images import run_images

    found = run_images(run, spec, {"data": dict(data)} if data else None)
    embeddings = found.embeddings
    if split.paths is not None and embeddings.paths is not None:
        at = {path: row for row, path in enumerate(embeddings.paths)}
        rows = [at.get(str(path), -1) for path in split.paths]
    else:
        numbered = zip(embeddings.split, embeddings.index.tolist(), strict=True)
        by_place = {place: row for row, place in enumerate(numbered)}
        places = split.factors.get("source_row", np.arange(len(split))).tolist()
        rows = [by_place.get((split.name, place), -1) for place in places]
    if -1 in rows:
        raise UserError(
            f"{rows.count(-1):,} of the {len(rows):,} images are not among those that {run.folder} "
            "embeds",
            fix="a run on the same images, or no data.* words that change them",
        )
    own = np.full(len(embeddings) + 1, -1, np.int64)  # -1 stays -1
    own[rows] = np.arange(len(rows))
    return own[found.graph.near[rows, :k]]


def _among(near: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Neighbours among the images of which there is a line, numbered as these are."""
    place = np.append(np.where(known, np.cumsum(known) - 1, -1), -1)
    return place[near[known]]


def show_columns(table: Attributes, columns: Sequence[Column], unit: Unit) -> None:
    """Print the columns by name, ranked, and sentences on what they say."""
    if not columns:
        return
    labelled = columns[0].information is not None
    shown = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    if labelled:
        shown.title = f"columns, by what they say of the labels beyond chance, in {unit}"
    elif columns[0].agreement is not None:
        shown.title = f"columns, by how far neighbours share them beyond chance; H in {unit}"
    else:
        shown.title = f"columns, by entropy in {unit}"
    rows = [column_record(column, unit) for column in columns[:COLUMNS_SHOWN]]
    names = [name for name in COLUMN_HEADINGS if any(name in row for row in rows)]
    for name in names:
        left = name in ("column", "says")
        shown.add_column(name, justify="left" if left else "right", overflow="fold")
    for row in rows:
        shown.add_row(*[_cell(row.get(name, "")) for name in names])
    console().print(shown)
    if len(columns) > COLUMNS_SHOWN:
        say(f"and {counted(len(columns) - COLUMNS_SHOWN, 'more column')}, in columns.csv")
    for sentence in column_sentences(table, columns, labelled):
        say(f"note: {sentence}")


def say_by_name(
    table: Attributes, labels: np.ndarray | None, columns: Sequence[Column], unit: Unit
) -> None:
    """Say which of the columns that tell something make the best clusters, taken by name."""
    names = [column.name for column in columns if column.tells]
    found = sweep_columns(table, labels, names)
    taken = found.recommendation.value if names else None
    if taken is None:
        return
    row = next(row for row in records(found, unit) if row["columns"] == taken)
    words = f"positives.columns=[{','.join(map(printable, names[:taken]))}]"
    say(
        f"by name, those that say most: '{words}' makes "
        f"{counted(row['clusters'], 'cluster')} with I(Z;T) {row['I(Z;T)']:.3f} (by chance "
        f"{row['I by chance']:.3f}) and H(Z|T) {row['H(Z|T)']:.3f} {unit}"
    )


COLUMN_HEADINGS = (
    *("column", "values", "missing", "H", "I", "chance", "95 %", "beyond", "share"),
    *("neighbours", "says"),
)


def column_record(column: Column, unit: Unit) -> dict[str, Any]:
    """A column as a flat row, entropies in ``unit``."""
    scale = 1 / math.log(2) if unit == "bits" else 1.0
    row: dict[str, Any] = {"column": printable(column.name), "values": column.values}
    row |= {"missing": column.missing, "H": column.h * scale}
    i, chance = column.information, column.chance
    if i is not None and chance is not None and column.beyond is not None:
        row |= {
            "I": i.i * scale,
            "chance": i.i_expected * scale,
            "95 %": f"{chance.low * scale:.3f}-{chance.high * scale:.3f}",
            "beyond": column.beyond * scale,
            "share": column.beyond / i.h_t if i.h_t > 0 else 0.0,
            "p": chance.p,
            "says": "a copy" if column.is_copy else "yes" if column.tells else "nothing",
        }
    if column.agreement is not None:
        row["neighbours"] = column.agreement
    return row


def column_sentences(table: Attributes, columns: Sequence[Column], labelled: bool) -> Iterator[str]:
    """What the columns amount to, in sentences."""
    copies = [c.name for c in columns if c.is_copy]
    if copies:
        yield (
            f"{first_five(copies)}: the label under another name, so left out of what follows; in "
            "training leave them out too (positives.columns names those to take, "
            "positives=labels is the honest way to use labels)"
        )
    if labelled:
        others = [c for c in columns if not c.is_copy]
        silent = [c.name for c in others if not c.tells]
        if others and len(silent) == len(others):
            yield (
                "these tags tell nothing of your labels: of no column is what it says out of the "
                "reach of shuffled labels (p at most 0.05, all columns taken together)"
            )
        elif silent:
            yield (
                f"beyond chance these say nothing of your labels ({len(silent)} of "
                f"{counted(len(others), 'column')}): {first_five(silent)}"
            )
    for one, other, ami in repeats(table, columns)[:5]:
        yield f"{one} and {other} largely say the same (adjusted mutual information {ami:.2f})"


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
    if recommendation.crossing is not None:
        one, other = recommendation.crossing
        say(f"I(Z;T) and H(Z|T) cross between {found.parameter}={one} and {other}")
    if recommendation.value is not None:
        say(
            f"recommended: {found.parameter}={recommendation.value}, by the rule: "
            f"{recommendation.rule}"
        )
    for remark in recommendation.remarks:
        say(f"note: {remark}")


def _cell(value: object) -> str:
    if isinstance(value, float) and value % 1:
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:z.3f}"
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def save(
    found: Sweep,
    build: Build,
    value: int | None,
    split: Split,
    out: Path,
    unit: Unit,
    spec: str,
    columns: Sequence[Column] = (),
) -> Path | None:
    """Write the sweep (clusters.csv), the columns (columns.csv), figures, and Z for the value;
    returns Z's file, None where no value is given and none recommended."""
    from viewfinder.positives.figures import curves, information_plane

    chosen = found.recommendation.value if value is None else value
    if chosen is None and all(row.clusters < 2 for row in found.rows):
        raise UserError(". ".join(found.recommendation.remarks), fix="other attributes or clusters")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    _write_csv(out / "clusters.csv", records(found, unit))
    if columns:
        _write_csv(out / "columns.csv", [column_record(column, unit) for column in columns])
    write_figure(curves(found, unit), out / "curves.png", dpi=150)
    if split.labels is not None:
        write_figure(information_plane(found, unit), out / "information_plane.png", dpi=150)
    if chosen is None:
        return None
    file = out / "z.parquet"
    write_clusters(file, build(chosen), {"source": spec, found.parameter: str(chosen)}, split)
    return file


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
