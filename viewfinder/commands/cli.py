"""The command line: each command reads its words, calls one function and prints.

Heavy imports happen inside the command that needs them, so ``--help`` is instant.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="viewfinder",
    help="Learn image representations without labels, and see what made them good.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[METHOD] [KEY=VALUE ...]", help="a method and overrides of its recipe"),
]


@app.command()
def pretrain(
    words: Words = None,
    recipe: Annotated[Path | None, typer.Option(help="a YAML file of recipe keys")] = None,
    out: Annotated[
        Path | None, typer.Option(help="run folder to write; default runs/METHOD-N")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="run folder to continue; no other words but plugins=")
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="print the complete recipe and stop")
    ] = False,
) -> None:
    """Pretrain an encoder, score it beside its baselines, and write a report.

    viewfinder pretrain simclr data=folder:photos epochs=20 --out runs/photos
    """
    from viewfinder.commands import pipeline

    method, overrides = _split_words(words or [])
    if print_recipe:
        found = recipe if resume is None else resume / "recipe.yaml"
        shown = pipeline.resolved(method, overrides, found, trusted=resume is None)
        sys.stdout.write(shown.to_yaml())
        return
    if resume is not None:
        _refuse_with_resume(recipe, out)
        pipeline.resume(resume, words or [])
        return
    pipeline.pretrain(method, overrides, recipe, out)


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
    runs, sets, overrides = _evaluate_words(words, data or [])
    protocols = protocol or []
    if "transfer" in protocols:
        from viewfinder.commands.transfer import transfer
        from viewfinder.evaluation.tasks.transfer import DEFAULT_PROTOCOL

        probes = list(dict.fromkeys(p for p in protocols if p != "transfer"))
        transfer(
            runs,
            sets,
            overrides,
            protocols=probes or [DEFAULT_PROTOCOL],
            baselines=baselines is not False,
        )
        return
    from viewfinder.commands import pipeline

    _refuse_several(runs, sets)
    one = sets[0] if sets else None
    pipeline.evaluate(runs[0], protocol, one, overrides, baselines=bool(baselines))


@app.command()
def embed(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    data: Annotated[str, typer.Option(help="source to embed")],
    out: Annotated[Path, typer.Option(help="Parquet file to write")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="overrides: data.*")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="one split only; default: all of the source")
    ] = None,
) -> None:
    """Write the embedding of every image: path or index, label if any, vector."""
    from viewfinder.commands import pipeline

    pipeline.embed(run, data, out, words or [], split)


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
    from viewfinder.commands import pipeline

    pipeline.describe(source, words or [])


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
    value: Annotated[
        int | None, typer.Option(help="value whose Z is written; default: the recommended")
    ] = None,
    nats: Annotated[bool, typer.Option("--nats", help="entropies in nats instead of bits")] = False,
    out: Annotated[Path, typer.Option(help="folder for Z, the table, figures")] = Path("clusters"),
) -> None:
    """Measure what could count as the same, before training, and recommend a choice."""
    from viewfinder.commands import pipeline

    pipeline.clusters(
        source,
        [*(words or []), *([f"data.labels={labels}"] if labels else [])],
        attributes=attributes,
        hierarchy=hierarchy,
        kmeans=kmeans,
        z=z,
        value=value,
        nats=nats,
        out=out,
    )


@app.command()
def methods() -> None:
    """The table of methods: each a choice of five parts."""
    from viewfinder.commands import pipeline

    pipeline.print_methods()


@app.command()
def reproduce(
    name: Annotated[
        str | None, typer.Argument(help="a table or figure; without it: the list")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for results; default reproductions/NAME")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="runs of each variant")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="a short form, minutes instead of an hour")
    ] = False,
) -> None:
    """List, or run, the papers' tables and figures at desk scale."""
    from viewfinder.papers.command import reproduce as run

    run(name, out, seeds=seeds, quick=quick)


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, never a traceback."""
    from viewfinder.core.errors import InterruptedRun, RunStopped, UserError

    try:
        app()
    except UserError as error:
        sys.stderr.write(f"viewfinder: {error}\n")
        sys.exit(2)
    except RunStopped as error:
        sys.stderr.write(f"viewfinder: {error}\n")
        sys.exit(130 if isinstance(error, InterruptedRun) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("viewfinder: interrupted\n")
        sys.exit(130)


def _split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """The method (a first word without "=") and the overrides."""
    if words and "=" not in words[0]:
        return words[0], words[1:]
    return None, words


def _evaluate_words(words: list[str], data: list[str]) -> tuple[list[Path], list[str], list[str]]:
    """Run folders, sets and overrides. With --data A, further words are sets too, but for runs and
    what is spelled as a path."""
    from viewfinder.core.errors import UserError

    runs, sets, overrides = [], list(data), []
    for word in words:
        path = Path(word)
        spelled_as_path = len(path.parts) > 1 and ":" not in word
        if "=" in word and not path.is_dir():
            overrides.append(word)
        elif data and not (path / "recipe.yaml").exists() and not spelled_as_path:
            sets.append(word)
        else:
            runs.append(path)
    if not runs:
        raise UserError(
            f"no run is named: {', '.join(words)} is none, having no recipe.yaml",
            fix="viewfinder evaluate RUN --data SET, RUN a folder that pretrain --out wrote",
        )
    return runs, sets, overrides


def _refuse_several(runs: list[Path], sets: list[str]) -> None:
    from viewfinder.core.errors import UserError

    if len(runs) > 1 or len(sets) > 1:
        what = f"{len(runs)} runs" if len(runs) > 1 else f"{len(sets)} sets"
        raise UserError(f"{what} are measured together by transfer", fix="--protocol transfer")
    if sets and "#" in sets[0]:
        raise UserError(f"{sets[0]} names a factor", fix="--protocol transfer")


def _refuse_with_resume(recipe: Path | None, out: Path | None) -> None:
    from viewfinder.core.errors import UserError

    if recipe or out:
        raise UserError(
            "--resume continues a run exactly as it was started, so it takes neither --recipe nor "
            "--out",
            fix="a new run for another recipe",
        )


if __name__ == "__main__":
    main()
