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
    from viewfinder.evaluation.probes.scores import Score
    from viewfinder.recipes.recipe import Recipe
    from viewfinder.runs.model import Model
    from viewfinder.runs.run import Run


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
    **keys: Any,
) -> Run:
    """Pretrain an encoder, score it beside its baselines and write the report; a new run.

    method  a row of ``viewfinder.methods`` with the arguments of ``recipe``; or a recipe as it is
    out     folder of the run; None: runs/METHOD-N, the next that is free

    Raises UserError as ``recipe`` does, for data that cannot be read and for a folder that is not
    empty; RunStopped at collapse or NaN, and InterruptedRun at Ctrl-C: ``resume`` continues it.

    >>> run = pretrain("simclr", data="folder:photos", epochs=20)  # doctest: +SKIP
    >>> run.report  # doctest: +SKIP
    PosixPath('runs/simclr-1/report.html')
    """
    with needing_app("viewfinder.pretrain"):
        from viewfinder.commands import pretrain as command

        if method is None or isinstance(method, str):
            method = recipe(method, overrides, file=file, **keys)
        elif overrides or keys or file is not None:
            raise UserError(
                "a recipe that is complete takes no further keys",
                fix='viewfinder.recipe("moco", epochs=20)',
            )
        return command.pretrain(method, None if out is None else Path(out))


def resume(run: Run | Path | str, *, plugins: str | Sequence[str] = ()) -> Run:
    """Continue a run where its newest checkpoint stands; the result is as if never interrupted.

    plugins  modules with rows of your own that the run needs; nothing else is imported

    Raises UserError where the folder is no run, and where it needs further plug-ins.
    """
    with needing_app("viewfinder.resume"):
        from viewfinder.commands import pretrain as command

        return command.resume(_run(run, plugins).folder)


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
