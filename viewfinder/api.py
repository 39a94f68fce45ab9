"""The commands as functions: what ``import viewfinder`` offers beside the parts themselves.

Heavy imports happen inside the function that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfinder.core.errors import UserError
from viewfinder.core.extras import needing_app

if TYPE_CHECKING:
    from viewfinder.data.source import Source
    from viewfinder.evaluation.comparison import Comparison
    from viewfinder.evaluation.probes.scores import Score
    from viewfinder.evaluation.search import Match, Query
    from viewfinder.recipes.recipe import Recipe
    from viewfinder.recipes.view_learning import ViewLearning
    from viewfinder.runs.model import Model
    from viewfinder.runs.run import Run
    from viewfinder.runs.view_run import ViewRun
    from viewfinder.sweeps.curve import Curve


def recipe(
    method: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | str | None = None,
    **keys: Any,
) -> Recipe:
    """The recipe of a method with changes, its parts checked against each other.

    method     row of ``viewfinder.methods``; None: the file's, or simclr
    overrides  keys with a dot in them: {"negatives.size": 1024}
    file       a YAML file of keys; what is given here wins over it. Its plug-ins are imported
    keys       keys of docs/recipe.md, nested, or a bare value for a part's main key

    Raises UserError for an unknown method or key, with the nearest, for a value of the wrong type,
    and for parts that contradict each other.

    >>> made = recipe("moco", epochs=20, negatives={"size": 1024}, data="folder:photos")
    >>> made.epochs, made.negatives.options().size, made.data.source
    (20, 1024, 'folder:photos')
    """
    with needing_app("a recipe"):
        from viewfinder.recipes.check import check_parts
        from viewfinder.recipes.recipe import build

        given = _nested({**(overrides or {}), **keys})
        made = build(method, given, None if file is None else Path(file))
        check_parts(made)
        return made


def pretrain(
    method: str | Recipe | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    file: Path | str | None = None,
    start: Run | Path | str | None = None,
    partly: bool = False,
    **keys: Any,
) -> Run:
    """Pretrain an encoder, score it beside its baselines and write the report; a new run.

    method  a row of ``viewfinder.methods`` with the arguments of ``recipe``; or a recipe as it is
    out     folder of the run; None: runs/METHOD-N, the next that is free
    start   a run to begin with: the weights of its networks, and its recipe in the place of a file;
            another method keeps of it encoder, data and budget. Momentum network, queue, optimiser
            and schedule begin anew
    partly  begin with those weights that fit, where not all do: which is printed

    Raises UserError as ``recipe`` does, for data that cannot be read, for a folder that is not
    empty and for weights of ``start`` that do not fit; RunStopped at collapse or NaN, and
    InterruptedRun at Ctrl-C: ``resume`` continues it.

    >>> run = pretrain("simclr", data="folder:photos", epochs=20)  # doctest: +SKIP
    >>> run.report  # doctest: +SKIP
    PosixPath('runs/simclr-1/report.html')
    >>> pretrain(start=run, epochs=100).folder  # doctest: +SKIP
    PosixPath('runs/simclr-2')
    """
    with needing_app("viewfinder.pretrain"):
        from viewfinder.commands import pretrain as command

        begun = None if start is None else _run(start, ())
        if partly and begun is None:
            raise UserError("partly is of start alone", fix="start=RUN")
        if begun is not None and file is not None:
            raise UserError("start brings a recipe, and file is another", fix="one of them")
        if method is None or isinstance(method, str):
            if begun is None:
                method = recipe(method, overrides, file=file, **keys)
            else:
                from viewfinder.runs.origin import based_on

                method = based_on(begun, method, _nested({**(overrides or {}), **keys}))
        elif overrides or keys or file is not None:
            raise UserError(
                "a recipe that is complete takes no further keys",
                fix='viewfinder.recipe("moco", epochs=20)',
            )
        where = None if out is None else Path(out)
        return command.pretrain(method, where, start=begun, partly=partly)


def resume(run: Run | Path | str, *, plugins: str | Sequence[str] = ()) -> Run:
    """Continue a run where its newest checkpoint stands; the result is as if never interrupted.

    plugins  modules with rows of your own that the run needs; nothing else is imported

    Raises UserError where the folder is no run, and where it needs further plug-ins.
    """
    with needing_app("viewfinder.resume"):
        from viewfinder.commands import pretrain as command

        return command.resume(_run(run, plugins).folder)


def learn_views(
    method: str | ViewLearning = "semi-supervised",
    overrides: Mapping[str, Any] | None = None,
    *,
    out: Path | str | None = None,
    **keys: Any,
) -> ViewRun:
    """Learn views: train a generator whose first channel and whose others are two views.

    method  "semi-supervised", "unsupervised" or "supervised", with keys as ``overrides`` or as
            arguments (docs/learned-views.md lists them); or a recipe of views as it is
    out     folder to write; None: runs/views-N, the next that is free

    What is trained lies in ``run.generator``, for ``views.steps``. Raises UserError for a recipe
    that does not fit its data, RunStopped where the generator collapses.

    >>> run = learn_views(labelled=100, data="folder:photos", epochs=20)  # doctest: +SKIP
    >>> pretrain("cmc", views={"steps": [{"crop": [0.2, 1.0]}, "flip",
    ...          {"learned": str(run.generator)}]}, data="folder:photos")  # doctest: +SKIP
    """
    with needing_app("viewfinder.learn_views"):
        from viewfinder.commands import learn_views as command
        from viewfinder.recipes.recipe import nested
        from viewfinder.recipes.view_learning import ViewLearning, build_view_learning

        if isinstance(method, str):
            given = nested({**(overrides or {}), **keys}.items(), ViewLearning)
            method = build_view_learning(method, given)
        elif overrides or keys:
            raise UserError("a recipe that is complete takes no further keys", fix="its method")
        return command.learn_views(method, None if out is None else Path(out))


def evaluate(
    run: Run | Path | str,
    data: str | None = None,
    protocols: str | Sequence[str] | None = None,
    *,
    baselines: bool = False,
    overrides: Mapping[str, Any] | None = None,
    plugins: str | Sequence[str] = (),
) -> list[Score]:
    """Probe the frozen encoder of a run; the scores are kept in the run, and its report is renewed.

    data       source to score on; None: the run's own
    protocols  "linear", "knn", or a paper's schedule by name; None: the recipe's
    baselines  measure raw pixels and the untrained encoder too
    overrides  of the run's data and evaluation: {"data.limit": 300, "evaluation.k": 5}
    plugins    as in ``resume``

    Raises UserError for what cannot be read, opened or scored.

    >>> evaluate("runs/simclr-1", "cifar10", "knn")[0].top1  # doctest: +SKIP
    0.55
    """
    with needing_app("viewfinder.evaluate"):
        from viewfinder.commands import evaluate as command

        named = [protocols] if isinstance(protocols, str) else protocols
        changes = _nested(overrides or {})
        return command.evaluate(_run(run, plugins), named, data, changes, baselines=baselines)


def sweep(
    method: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    vary: tuple[str, Sequence[Any]],
    seeds: int = 5,
    out: Path | str | None = None,
    file: Path | str | None = None,
    engine: str = "here",
    **keys: Any,
) -> Curve:
    """Train and evaluate along one key of a recipe: accuracy against it and against information.

    method, overrides, file, keys  the recipe, as in ``recipe``
    vary    a key, and its values: ("views.strength", [0, 0.5, 1, 1.5])
    seeds   of each value; a verdict on a reverse U needs 3, and 5 are advised
    out     folder of the sweep; None: sweeps/METHOD-KEY. One that has points of the same sweep is
            continued, and several processes may work on it at the same time
    engine  "here", one point after another, or "ray", on a Ray cluster

    Returns the ``viewfinder.sweeps.curve.Curve``; the folder has its table and picture.

    Raises UserError, before anything is trained, for a key or value that is refused, for data
    without labels, and for the folder of another sweep; RunStopped where points failed.

    >>> vary = ("views.strength", [0, 0.5, 1])
    >>> curve = sweep("simclr", vary=vary, data="digits")  # doctest: +SKIP
    >>> curve.best  # doctest: +SKIP
    0.5
    """
    with needing_app("viewfinder.sweep"):
        from viewfinder.commands import sweep as command

        path, values = vary
        given = _nested({**(overrides or {}), **keys})
        _, curve = command.sweep(
            method,
            given,
            (path, tuple(values)),
            seeds=seeds,
            out=None if out is None else Path(out),
            file=None if file is None else Path(file),
            engine=engine,
        )
        return curve


def embed(
    run: Run | Path | str,
    data: str,
    out: Path | str,
    *,
    split: str | None = None,
    unit_length: bool = False,
    overrides: Mapping[str, Any] | None = None,
    plugins: str | Sequence[str] = (),
) -> int:
    """Write the features of every image of a source to the file ``out``, whose ending says the
    format: .parquet, .csv, .npy or .npz; returns how many rows it has.

    split        one split only; None: all of the source
    unit_length  each vector divided by its length
    overrides    of the run's data: {"data.limit": 300}
    plugins      as in ``resume``

    Raises UserError for what cannot be read, opened or written.

    >>> embed("runs/simclr-1", "folder:photos", "photos.parquet")  # doctest: +SKIP
    512
    """
    with needing_app("viewfinder.embed"):
        from viewfinder.commands import embed as command

        changes = _nested(overrides or {})
        return command.embed(
            _run(run, plugins), data, Path(out), changes, split=split, unit_length=unit_length
        )


def search(
    run: Run | Path | str,
    query: Query,
    *,
    top: int = 20,
    data: str | None = None,
    out: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    plugins: str | Sequence[str] = (),
) -> list[Match]:
    """The images of a run most like one, by the cosine similarity of their embeddings, the nearest
    first.

    query      a row of the run's images; a path as its data have it, or "test:12"; an image file;
               an array uint8 (H, W, C) or a tensor uint8 (C, H, W). What is itself among the images
               is left out
    top        how many, 20 unless said
    data       source to search in; None: the run's own, all splits of it
    out        a page of pictures to write, HTML
    overrides  of the run's data: {"data.size": 96}
    plugins    as in ``resume``

    The embeddings are made at the first search and kept in the run. Raises UserError for what is
    no image, a row that there is not, and files that cannot be read.

    >>> [(match.name, match.similarity) for match in search("runs/photos", "a.jpg", top=2)]
    ... # doctest: +SKIP
    [('trip/0412.jpg', 0.981), ('trip/0411.jpg', 0.974)]
    """
    with needing_app("viewfinder.search"):
        from viewfinder.commands import search as command

        found = command.find(
            _run(run, plugins),
            [query],
            top=top,
            data=data,
            overrides=_nested(overrides or {}),
            out=None if out is None else Path(out),
        )
        return found[0].matches


def compare(
    first: Run | Path | str,
    second: Run | Path | str,
    *,
    neighbours: int = 10,
    data: str | None = None,
    out: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    plugins: str | Sequence[str] = (),
) -> Comparison:
    """How far the nearest neighbours of each image are the same in two runs.

    neighbours  of each image, 1 to 30
    data        source that both look at; None: the runs' own
    out         folder for a page of pictures and a table, a row per image
    overrides   of the runs' data

    ``mean`` of what is returned is the mean overlap (Jaccard), 0..1. Raises UserError for runs of
    different data.

    >>> compare("runs/photos", "runs/photos-2").mean  # doctest: +SKIP
    0.62
    """
    with needing_app("viewfinder.compare"):
        from viewfinder.commands import compare as command

        return command.compare(
            _run(first, plugins),
            _run(second, plugins),
            data,
            _nested(overrides or {}),
            k=neighbours,
            out=None if out is None else Path(out),
        )


def load(
    run: Run | Path | str,
    *,
    checkpoint: Path | str | None = None,
    plugins: str | Sequence[str] = (),
) -> Model:
    """The trained encoder of a run with its preprocessing, a module on the CPU in evaluation mode.

    checkpoint  one of the run's; None: the newest
    plugins     as in ``resume``

    Raises UserError where the folder is no run or has no checkpoint.

    >>> model = load("runs/simclr-1")  # doctest: +SKIP
    >>> model.encode(["a.jpg", "b.png"]).shape  # doctest: +SKIP
    torch.Size([2, 512])
    """
    with needing_app("viewfinder.load"):
        from viewfinder.runs.model import Model
        from viewfinder.runs.run import load_encoder

        path = None if checkpoint is None else Path(checkpoint)
        encoder, made_by, _ = load_encoder(_run(run, plugins), path)
        return Model(encoder, made_by)


def open_data(
    source: str,
    *,
    root: Path | str | None = None,
    download: bool = False,
    strict: bool = False,
    labels: Path | str | None = None,
    label_column: str = "label",
    channels: int | None = None,
    size: int | None = None,
    limit: int | None = None,
    exclude: Path | str | None = None,
    seed: int = 0,
) -> Source:
    """The data that ``data=`` names: "folder:photos", "npz:mine", "digits", "cifar10", ...

    The other arguments are those of ``viewfinder.data.sources.table.open_source``.

    >>> source = open_data("digits")
    >>> len(source.train), source.train.data.shape
    (1438, (1, 8, 8))
    """
    with needing_app("viewfinder.open_data"):
        from viewfinder.data.sources.table import open_source

        return open_source(
            source,
            root=root,
            download=download,
            strict=strict,
            labels=labels,
            label_column=label_column,
            channels=channels,
            size=size,
            limit=limit,
            exclude=exclude,
            seed=seed,
        )


def _run(run: Run | Path | str, needed: str | Sequence[str]) -> Run:
    """The run of a folder, when the plug-ins that the user names for it are imported."""
    from viewfinder.core import plugins
    from viewfinder.runs.run import Run

    plugins.load([needed] if isinstance(needed, str) else needed)
    return run if isinstance(run, Run) else Run(Path(run))


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    from viewfinder.recipes.recipe import nested

    return nested(given.items())
