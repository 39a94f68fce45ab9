"""The command line: each command reads its words, calls one function and prints.

Heavy imports happen inside the command that needs them, so ``--help`` is instant.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="viewfinder",
    help="Learn image representations without labels, and see what made them good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from viewfinder import __version__

        sys.stdout.write(f"viewfinder {__version__}\n")
        raise typer.Exit


@app.callback()
def viewfinder(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="print it and exit"),
    ] = False,
) -> None:
    """Learn image representations without labels, and see what made them good."""


Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[METHOD] [KEY=VALUE ...]", help="a method and overrides of its recipe"),
]


@app.command()
def data(
    source: Annotated[
        str, typer.Argument(help="shapes, digits, npz:PATH, folder:DIR, cifar10, ...")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
) -> None:
    """Say what is in a source: counts, sizes, classes, attributes, unreadable files."""
    from viewfinder.commands import data as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.data.describe import print_description

    print_description(command.describe(source, overrides_of(words or [])))


@app.command()
def pretrain(
    words: Words = None,
    recipe: Annotated[Path | None, typer.Option(help="a YAML file of recipe keys")] = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder to write; default runs/METHOD-N")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="run folder to continue; no words but plugins= and data=")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="run to begin with: its weights, and its recipe under words"),
    ] = None,
    partly: Annotated[
        bool, typer.Option("--partly", help="with --from: the weights that fit, where not all do")
    ] = False,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="print the complete recipe and stop")
    ] = False,
) -> None:
    """Pretrain an encoder, score it beside its baselines, and write a report.

    viewfinder pretrain simclr data=folder:photos epochs=20 --out runs/photos
    """
    from viewfinder.commands import pretrain as command
    from viewfinder.commands.words import base_of, places_of, recipe_of
    from viewfinder.core.errors import UserError

    if start is not None or partly:
        if start is None or resume is not None or recipe is not None:
            raise UserError(
                "--from begins a new run with another's weights and recipe, so it goes neither "
                "with --recipe nor --resume, and --partly goes with it alone",
                fix="viewfinder pretrain --from RUN KEY=VALUE",
            )
        base, made = base_of(start, words or [])
        if print_recipe:
            sys.stdout.write(command.completed(made, base).to_yaml())
        else:
            command.pretrain(made, out, start=base, partly=partly)
    elif print_recipe and resume is not None:
        found = recipe_of(words or [], resume / "recipe.yaml", trusted=False)
        sys.stdout.write(command.completed(found).to_yaml())
    elif print_recipe:
        sys.stdout.write(command.completed(recipe_of(words or [], recipe)).to_yaml())
    elif resume is not None:
        command.resume(resume, places_of(words or [], recipe, out))
    else:
        command.pretrain(recipe_of(words or [], recipe), out)


@app.command("learn-views")
def learn_views(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[METHOD] [KEY=VALUE ...]",
            help="semi-supervised, unsupervised or supervised, and overrides of its recipe",
        ),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="a YAML file of recipe keys")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; default runs/views-N")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="folder to continue; no words but plugins=")
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="print the complete recipe and stop")
    ] = False,
) -> None:
    """Learn views: train a generator whose channels are two views, and write it for pretrain.

    viewfinder learn-views semi-supervised labelled=100 data=folder:photos --out runs/views
    """
    from viewfinder.commands import learn_views as command
    from viewfinder.commands.words import places_of, view_recipe_of
    from viewfinder.core.errors import UserError

    if resume is not None:
        if print_recipe or places_of(words or [], recipe, out):
            raise UserError("--resume continues a training of views exactly as it was started")
        command.resume(resume)
    elif print_recipe:
        made, _, _ = command.with_data(view_recipe_of(words or [], recipe))
        sys.stdout.write(made.to_yaml())
    else:
        command.learn_views(view_recipe_of(words or [], recipe), out)


@app.command()
def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN [RUN ...] [KEY=VALUE ...]",
            help="a run folder (with transfer: several) and overrides: data.*, evaluation.*; "
            "plugins=MODULE where the run needs one",
        ),
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="linear, knn, or a paper's schedule by name; may be repeated. "
            "transfer: over several sets, by the other protocols given (linear if none)"
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="source to evaluate on; default: the run's. With transfer several: "
            "--data A --data B, or --data A B; SOURCE#FACTOR reads a factor, not the class"
        ),
    ] = None,
    baselines: Annotated[
        bool | None,
        typer.Option(
            "--baselines/--no-baselines",
            help="measure raw pixels and the untrained encoder too; with transfer they are",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Probe the frozen encoder of a run; every score is stored with its protocol.

    viewfinder evaluate runs/a runs/b --protocol transfer --data mnist cifar10 shapes#position
    """
    from viewfinder.commands.words import check_one, overrides_of, runs_sets_overrides
    from viewfinder.runs.run import Run

    folders, sets, rest = runs_sets_overrides(words, data or [])
    overrides, protocols = overrides_of(rest), protocol or []
    runs = [Run(folder) for folder in folders]
    if "transfer" in protocols:
        from viewfinder.commands.transfer import transfer

        probes = [p for p in dict.fromkeys(protocols) if p != "transfer"]
        transfer(runs, sets, overrides, protocols=probes, baselines=baselines is not False)
        return
    from viewfinder.commands import evaluate as command
    from viewfinder.core.console import say
    from viewfinder.evaluation.scoring import print_scores
    from viewfinder.report.verdict import verdict

    check_one(folders, sets)
    source = sets[0] if sets else None
    found = command.evaluate(runs[0], protocols, source, overrides, baselines=bool(baselines))
    print_scores(found)
    for sentence in verdict(found, runs[0].plain_recipe()):
        say(sentence)


@app.command()
def embed(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    data: Annotated[str, typer.Option(help="source to embed")],
    out: Annotated[Path, typer.Option(help="file to write: .parquet, .csv, .npy or .npz")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="one split only; default: all of the source")
    ] = None,
    unit_length: Annotated[
        bool, typer.Option("--unit-length", help="each vector divided by its length")
    ] = False,
) -> None:
    """Write the embedding of every image: path, split, index, label and class if any, vector.

    viewfinder embed runs/photos --data folder:photos --out photos.parquet
    """
    from viewfinder.commands import embed as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.core.console import say
    from viewfinder.core.counted import counted
    from viewfinder.runs.run import Run

    overrides = overrides_of(words or [])
    rows = command.embed(Run(run), data, out, overrides, split=split, unit_length=unit_length)
    say(f"{counted(rows, 'embedding')} written to {out}")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ...", help="run folders")],
    out: Annotated[
        Path | None, typer.Option(help="default: report.html, in the run where it is one")
    ] = None,
) -> None:
    """Write the report of a run anew; of several on the same images, one page of differences.

    viewfinder report runs/simclr-1 runs/simclr-2
    """
    from viewfinder.commands.report import report as command
    from viewfinder.core.console import say
    from viewfinder.runs.run import Run

    say(f"report: {command([Run(run) for run in runs], out)}")


@app.command()
def search(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    query: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE|INDEX|FILE",
            help="an image file; an image of the run by its path, its row or SPLIT:INDEX; or a "
            ".txt or .csv file with one of these a line",
        ),
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    top: Annotated[int, typer.Option(help="images to find")] = 20,
    data: Annotated[
        str | None, typer.Option(help="source to search in; default: the run's")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="page to write; default search.html in the run")
    ] = None,
) -> None:
    """Find the images most like one, in the terminal and as a page of pictures.

    viewfinder search runs/photos holiday.jpg --top 10
    """
    from viewfinder.commands import search as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.core.console import say
    from viewfinder.evaluation.search import listed
    from viewfinder.runs.run import Run

    page = out or run / "search.html"
    overrides = overrides_of(words or [])
    found = command.find(Run(run), listed(query), top=top, data=data, overrides=overrides, out=page)
    command.show(found)
    say(f"page: {page}")


@app.command()
def clean(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    data: Annotated[str | None, typer.Option(help="source to look at; default: the run's")] = None,
    label_next: Annotated[
        int, typer.Option(min=0, help="images that are proposed to be labelled")
    ] = 100,
    out: Annotated[
        Path | None, typer.Option(help="folder to write; default clean in the run")
    ] = None,
) -> None:
    """Find copies, outliers, doubtful labels, dark, blurred and empty images; nothing is deleted.

    viewfinder clean runs/photos
    """
    from viewfinder.commands import clean as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.runs.run import Run

    folder = out or run / "clean"
    overrides = overrides_of(words or [])
    found = command.clean(Run(run), data, overrides, out=folder, label_next=label_next)
    command.show(found, folder)


@app.command()
def explore(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders")],
    data: Annotated[str | None, typer.Option(help="source to show; default: the run's")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 5055,
    out: Annotated[
        Path | None, typer.Option(help="folder to write; default atlas in the first run")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="or write the folder alone")
    ] = True,
) -> None:
    """An interactive map of all images in the browser; nothing leaves this machine.

    viewfinder explore runs/photos
    """
    from viewfinder.commands import explore as command
    from viewfinder.runs.run import Run

    folder = out or runs[0] / "atlas"
    command.explore([Run(run) for run in runs], data, port=port, out=folder, serve=serve)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder: before")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="another: after")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="source that both look at; default: that of the runs")
    ] = None,
    neighbours: Annotated[int, typer.Option(help="neighbours of each image, 1 to 30")] = 10,
    at_least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="exit with 1 where the mean overlap is below this"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder to write; default compare in the second run")
    ] = None,
) -> None:
    """Whose neighbours changed between two runs: a map of both, pictures, and one number.

    viewfinder compare runs/photos runs/photos-2 --at-least 0.5
    """
    from viewfinder.commands import compare as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.core.errors import RunStopped
    from viewfinder.runs.run import Run

    folder = out or second / "compare"
    overrides = overrides_of(words or [])
    found = command.compare(Run(first), Run(second), data, overrides, k=neighbours, out=folder)
    command.show(found, folder)
    if at_least is not None and found.mean < at_least:
        raise RunStopped(f"the mean overlap, {found.mean:.3f}, is below {at_least:g}")


@app.command()
def group(
    run: Annotated[Path, typer.Argument(help="a run folder: the images are those of its data")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    same: Annotated[
        list[Path] | None,
        typer.Option(help="a list of images that are the same; may be repeated, a cluster each"),
    ] = None,
    differ: Annotated[
        list[Path] | None,
        typer.Option(help="with --over: a list of images that are like no other; may be repeated"),
    ] = None,
    leave_out: Annotated[
        list[Path] | None, typer.Option(help="a list of images not to train on; may be repeated")
    ] = None,
    over: Annotated[
        Path | None, typer.Option(help="clusters to begin with; default: each image its own")
    ] = None,
    out: Annotated[Path, typer.Option(help="Parquet file to write")] = Path("clusters.parquet"),
) -> None:
    """Turn lists of images into clusters to train on: these are the same, these differ.

    viewfinder group runs/photos --same cats.txt --same boats.txt --leave-out blurred.csv
    """
    from viewfinder.commands import group as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.core.console import say
    from viewfinder.runs.run import Run

    made = command.group(
        Run(run),
        overrides_of(words or []),
        same=same or [],
        differ=differ or [],
        leave_out=leave_out or [],
        over=over,
        out=out,
    )
    command.show(made, out)
    say(f"train on: viewfinder pretrain --from {run} ci-infonce positives=file:{out}")


@app.command()
def clusters(
    source: Annotated[str, typer.Argument(help="shapes, npz:PATH, folder:DIR, ...")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*, positives.bins=4, ..."),
    ] = None,
    attributes: Annotated[str | None, typer.Option(help="attributes.csv: path,gender,...")] = None,
    hierarchy: Annotated[str | None, typer.Option(help="hierarchy.csv: class,path")] = None,
    kmeans: Annotated[
        Path | None, typer.Option(help="run whose outputs are clustered, see positives.on")
    ] = None,
    z: Annotated[str | None, typer.Option(help="clusters that exist: Parquet or CSV")] = None,
    labels: Annotated[str | None, typer.Option(help="labels.csv, short for data.labels=")] = None,
    run: Annotated[
        Path | None, typer.Option(help="run: do its neighbours share the attributes?")
    ] = None,
    value: Annotated[
        int | None, typer.Option(help="value whose Z is written; default: the recommended")
    ] = None,
    nats: Annotated[bool, typer.Option("--nats", help="entropies in nats instead of bits")] = False,
    out: Annotated[Path, typer.Option(help="folder for Z, the table, figures")] = Path("clusters"),
) -> None:
    """Measure what could count as the same, before training, and recommend a choice."""
    from viewfinder.commands import clusters as command
    from viewfinder.commands.words import overrides_of
    from viewfinder.core.console import say
    from viewfinder.runs.run import Run

    given = [*(words or []), *([f"data.labels={labels}"] if labels else [])]
    file = command.clusters(
        source,
        overrides_of(given),
        attributes=attributes,
        hierarchy=hierarchy,
        kmeans=None if kmeans is None else Run(kmeans),
        z=z,
        run=None if run is None else Run(run),
        value=value,
        unit="nats" if nats else "bits",
        out=out,
    )
    if file is None:
        say(f"no Z is written: nothing is recommended; --value writes one all the same. See {out}")
        return
    same = " ".join([f"data={source}", *(w for w in given if not w.startswith("positives"))])
    say(
        f"{file} written, and all columns and figures beside it; train with it: viewfinder "
        f"pretrain ci-infonce-batch {same} positives=file:{file}"
    )


@app.command()
def measure(
    arrays: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="X.npy Y.npy", help="two arrays (N, D); row i of both is a pair"),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="a run: what its views share, on images held out from it")
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="plant known information in a source's own images"),
    ] = None,
    views: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VIEWS ...",
            help="view makers, compared on equal terms on --data: presets, files of a recipe, "
            "'simclr views.grey=0'",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="with --views: a source")] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="with --views: what a view says of the label, too")
    ] = False,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VIEWS ...] [KEY=VALUE ...]",
            help="further view makers; with --views and --calibrate, overrides: data.*",
        ),
    ] = None,
    bound: Annotated[str, typer.Option(help="what is reported: info-nce or nwj")] = "info-nce",
    objective: Annotated[
        str | None, typer.Option(help="what the critic is trained by; default: the bound")
    ] = None,
    critic: Annotated[str, typer.Option(help="separable or joint")] = "separable",
    inputs: Annotated[str, typer.Option(help="ranks, standardised or as-is")] = "ranks",
    k: Annotated[int | None, typer.Option(help="candidates; default 512 or what fits")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="critics trained")] = 3,
    steps: Annotated[
        int | None, typer.Option(min=1, help="of training, at most; default 1500, views: 400")
    ] = None,
    bits: Annotated[bool, typer.Option("--bits", help="in bits instead of nats")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="JSON file to write to; with --views, default views.json, continued"),
    ] = None,
) -> None:
    """Bound the mutual information of pairs, on pairs that no critic was trained on.

    viewfinder measure --arrays x.npy y.npy --bits

    viewfinder measure --views simclr moco2 infomin --data folder:photos
    """
    from viewfinder.commands import measure as command
    from viewfinder.commands.words import overrides_of, views_and_overrides
    from viewfinder.core.errors import UserError
    from viewfinder.information.discrete import Unit
    from viewfinder.runs.run import Run

    unit: Unit = "bits" if bits else "nats"
    how: dict[str, Any] = {"bound": bound, "objective": objective, "critic": critic}
    how |= {"inputs": inputs, "k": k, "seeds": seeds}
    how |= {} if steps is None else {"steps": steps}
    if sum(one is not None for one in (arrays, run, calibrate, views)) != 1:
        raise UserError(
            "one of --arrays, --run, --views and --calibrate is expected",
            fix="viewfinder measure --arrays x.npy y.npy",
        )
    if views is None and (data is not None or labels):
        raise UserError(f"{'--data' if data is not None else '--labels'} goes with --views alone")
    if words and calibrate is None and views is None:
        raise UserError(f"{words[0]}: only --calibrate and --views take overrides")
    if views is not None:
        from viewfinder.commands.measure_views import compare

        if data is None:
            raise UserError("--views: of which images?", fix="--data folder:photos")
        for name, value, only in (("critic", critic, "separable"), ("inputs", inputs, "ranks")):
            if value != only:
                raise UserError(f"--{name} is not of --views: their critic is a small ConvNet")
        makers, rest = views_and_overrides([*views, *(words or [])])
        chosen = {key: how[key] for key in how if key not in ("critic", "inputs")}
        where = Path("views.json") if out is None else out
        compare(makers, data, overrides_of(rest), labels=labels, unit=unit, out=where, **chosen)
        return
    if arrays is not None:
        command.arrays(*arrays, unit=unit, out=out, **how)
    elif run is not None:
        command.views(Run(run), unit=unit, out=out, **how)
    elif calibrate is not None:
        command.calibrate(calibrate, overrides_of(words or []), unit=unit, out=out, **how)


@app.command()
def sweep(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[METHOD] [KEY=VALUE ...] vary=PATH:v1,v2,... [seeds=5] [engine=ray]",
            help="a recipe, a key of it with its values, and how many seeds each value has",
        ),
    ],
    recipe: Annotated[Path | None, typer.Option(help="a YAML file of recipe keys")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder of the sweep, new or to go on in; default sweeps/METHOD-PATH"),
    ] = None,
) -> None:
    """Train along one parameter of a recipe: accuracy against it and against information.

    viewfinder sweep simclr data=folder:photos vary=views.strength:0,0.25,0.5,1,1.5 seeds=5
    """
    from viewfinder.commands.sweep import from_words

    from_words(words, recipe, out)


@app.command()
def methods(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART] [plugins=MODULE]",
            help="a part whose rows are listed: views, splits, positives, negatives, ...",
        ),
    ] = None,
) -> None:
    """The table of methods, each a choice of five parts; or the rows of one part.

    viewfinder methods negatives plugins=my_rows
    """
    from viewfinder.commands import methods as command
    from viewfinder.commands.words import method_and_overrides, overrides_of
    from viewfinder.core.console import console
    from viewfinder.runs.opening import only

    part, rest = method_and_overrides(words or [])
    only(overrides_of(rest), ("plugins",))
    console().print(command.methods() if part is None else command.rows(part))


@app.command()
def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="a table or figure; without it: the list")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for results; default reproductions/NAME")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="runs of each variant; default: as planned, 3 or 5")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="a short form, minutes instead of an hour")
    ] = False,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="train nothing: verdicts anew from the numbers in --out"),
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="over every recipe, with --scale paper"),
    ] = None,
    scale: Annotated[str, typer.Option(help="desk, or paper: its recipes one by one")] = "desk",
    data_root: Annotated[Path, typer.Option(help="folder of the data, with --scale paper")] = Path(
        "data"
    ),
    only_list: Annotated[
        bool, typer.Option("--list", help="with --scale paper: the runs in order, none trained")
    ] = False,
) -> None:
    """List, or run, the papers' tables and figures at desk scale or at the paper's."""
    from viewfinder.commands import reproduce as command
    from viewfinder.core.errors import UserError

    if scale not in ("desk", "paper"):
        raise UserError(f"--scale is {scale!r}; desk or paper is expected", fix="--scale paper")
    if scale == "paper":
        if name is None or quick or judge or seeds is not None:
            raise UserError(
                "--scale paper is of one table, and goes neither with --quick, --judge nor --seeds",
                fix="viewfinder reproduce ci-infonce/table1 --scale paper --data-root data",
            )
        from viewfinder.commands.paper_scale import reproduce_at_scale

        reproduce_at_scale(name, out, data_root, overrides or (), only_list=only_list)
        return
    if overrides or only_list:
        raise UserError("KEY=VALUE and --list are of --scale paper", fix="--scale paper")
    command.reproduce(name, out, seeds=seeds, quick=quick, judge=judge)
