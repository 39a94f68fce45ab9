"""One run of an experiment at desk scale: train, then probe the frozen encoder."""

from __future__ import annotations

import csv
import importlib
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from rich.console import Console
from torch import Tensor, nn

from viewfinder.core.errors import InterruptedRun, RunStopped, UserError
from viewfinder.core.randomness import numpy_generator
from viewfinder.data.source import Source, Split, words_of
from viewfinder.data.splits import held_out_rows, select
from viewfinder.evaluation.probing import probe, untrained
from viewfinder.evaluation.shared import shared_information
from viewfinder.information.discrete import information
from viewfinder.networks.frozen_features import extract
from viewfinder.papers.image_sets import expand
from viewfinder.papers.image_statistics import wanted, with_statistics
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import Recipe, build, complete
from viewfinder.recipes.view_learning import build_view_learning, completed
from viewfinder.runs.run import Run, pick_device
from viewfinder.runs.view_run import ViewRun
from viewfinder.training.assignment import first_clusters
from viewfinder.training.fit import fit
from viewfinder.training.learn_views import learn, used_labels, with_batch_of
from viewfinder.views.learned_space import save

PIXELS = 768  # 16 x 16 in three channels: raw pixels are averaged down to this many values
KEPT = ("loss", "objective", "rankme", "feature_std")  # of metrics.csv

MEASURED = ("i_nce", "label_loss", "log_volume", "channel_spread")  # of a training of views

Probes = Callable[[nn.Module | None], dict[str, Any]]
Kind = tuple[Sequence[str], nn.Module | None, Mapping[str, Any]]
"""Of features: the protocols they are read by, what makes them, and what their scores shall say."""
Further = tuple[Recipe, Source, tuple[str | None, ...]]


def train(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train and probe as ``viewfinder.papers.desk.settings`` say; the result is plain JSON data.

    top1, top5     accuracy of the first protocol on the test part; None where stopped
    scores         every protocol's top1 and top5, with its protocol
    transfer       the same for each further data, in their order; of a quantity r2, error and unit
    shared         what its two views share, where that is measured: I_NCE on the test part, in nats
    feature_rms    the root mean square of the features of train, where they were rescaled
    points         scores and transfer as they were on the way, with the epoch
    information    of the clusters at the end (of several clusterings the first) and the labels of
                   train, in bits (``bits``)
    epochs         loss, rankme and feature_std of each epoch; with regularizers the objective,
                   which is the loss without them
    learned        where views were learned first, what was measured of them in each epoch
    watched        the rows of each callback, by its class's name
    stopped        why the run was stopped (collapse, NaN), or None
    seconds        of training; seconds_probes: of the probes
    """
    recipe = _recipe(settings)
    return _trained(settings, recipe, open_data(recipe.data, recipe.seed))


def train_on_part(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same on train alone: a fifth of each class is held out and stands for test, whose images
    are not looked at. Which fifth depends on the seed and the labels only."""
    recipe = _recipe(settings)
    return _trained(settings, recipe, held_out_of_train(recipe.data, recipe.seed))


def held_out_of_train(part: Data, seed: int) -> Source:
    """A source whose train and test are both of the train split of a recipe's data part.

    Raises UserError where train has no labels, and where the source has no test images of its own:
    those of other seeds are then among its train.
    """
    from viewfinder.data.sources.table import open_source

    opened = open_source(part.source, **part.options(), seed=seed)
    if opened.held_out:
        raise UserError(
            f"{part.source} has no test split, and the one that is drawn differs from seed to "
            "seed: a choice would see test images of other seeds",
            fix="a source with a test split of its own",
        )
    whole = opened.train
    if whole.labels is None:
        raise UserError(f"{part.source} has no labels to choose by", fix="a labelled source")
    held = held_out_rows(len(whole), whole.labels, numpy_generator(seed, "papers/choice"))
    rest = np.setdiff1d(np.arange(len(whole)), held)
    splits = {"train": select(whole, rest, "train"), "test": select(whole, held, "test")}
    return Source(part.source, splits, held_out=True)


def _recipe(settings: Mapping[str, Any]) -> Recipe:
    return build(None, expand({**settings["recipe"], "accelerator": _accelerator(settings)}))


def _trained(settings: Mapping[str, Any], recipe: Recipe, source: Source) -> dict[str, Any]:
    if settings.get("prepare"):
        source = _named(settings["prepare"])(source, recipe.seed)
    started = time.perf_counter()
    found: dict[str, Any] = {"stopped": None, "epochs": [], "watched": {}, "information": None}
    found["points"] = []
    encoder: nn.Module | None = None
    with tempfile.TemporaryDirectory(prefix="viewfinder-") as folder:
        try:
            if settings.get("learned"):
                recipe = _with_learned_views(settings, recipe, source.train, Path(folder), found)
            data = source.train.data
            recipe = complete(recipe, data.shape, data.modality, words_of(data))
            probes = partial(_probes, settings, recipe, source, _further(settings, recipe))
            encoder = _encoder(recipe, source, settings, found, probes)
        except InterruptedRun:  # no finding of the run
            raise
        except RunStopped as stop:
            found["stopped"] = str(stop)
        trained = time.perf_counter()
        halted = found["stopped"] is not None
        found |= {"scores": [], "transfer": []} if halted else probes(encoder)
    first = found["scores"][0] if found["scores"] else {"top1": None, "top5": None}
    return {
        "top1": first["top1"],
        "top5": first["top5"],
        **found,
        "seconds": trained - started,
        "seconds_probes": time.perf_counter() - trained,
    }


def _with_learned_views(
    settings: Mapping[str, Any], recipe: Recipe, split: Split, folder: Path, found: dict[str, Any]
) -> Recipe:
    """The recipe with a generator that is trained on the same images, in ``folder``; what was
    measured of it goes into ``found``."""
    how = {**settings["learned"], "accelerator": _accelerator(settings)}
    views = completed(build_view_learning(None, how), split.data.shape)
    own = replace(split, labels=used_labels(views, split))
    run = ViewRun(folder)
    try:
        module = learn(with_batch_of(views, own), own, run, Console(quiet=True))
    finally:
        found["learned"] = _rows(run.metrics_file, MEASURED)
    save(module.cpu().space, run.generator)
    placed = recipe.views.with_files(lambda _: str(run.generator))
    return recipe.model_copy(update={"views": placed})


def open_data(part: Data, seed: int) -> Source:
    """The source of a recipe's data part, with labelled train and test; UserError without."""
    from viewfinder.data.sources.table import open_source

    source = open_source(part.source, **part.options(), seed=seed)
    if source.test is None or source.train.labels is None or source.test.labels is None:
        raise UserError(f"{part.source} has no labels to probe with", fix="a labelled source")
    return source


def bits(z: np.ndarray, t: np.ndarray) -> dict[str, float]:
    """What clusters z (N,) say of labels t (N,), in bits."""
    found = information(z, t, unit="bits")
    return {
        "clusters": found.clusters,
        "i": found.i,
        "h_z_given_t": found.h_z_given_t,
        "h_t": found.h_t,
        "ami": found.ami,
    }


class Points(L.Callback):
    """What ``probes`` find of the encoder after some epochs, in ``rows``, with the epoch."""

    def __init__(self, epochs: Collection[int], probes: Probes) -> None:
        self.epochs, self.probes = epochs, probes
        self.rows: list[dict[str, Any]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        epoch = trainer.current_epoch + 1
        if epoch in self.epochs:
            self.rows.append({"epoch": epoch, **self.probes(module.encoder)})


def epochs_of(points: Sequence[float], epochs: int) -> list[int]:
    """The epochs at these fractions of a training, the last one left out: ascending, from 1."""
    return sorted({max(1, round(epochs * point)) for point in points} - {epochs})


class ClusterInformation(L.Callback):
    """For each epoch what the clusters it is trained with say of the labels, in ``rows``.

    A row is a list: one ``bits`` for each clustering (methods may have several).
    """

    def __init__(self, recipe: Recipe, split: Split) -> None:
        assert split.labels is not None
        self.labels = split.labels
        self.rows: list[list[dict[str, float]]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        clusters: Any = pl_module.clusters
        z = np.atleast_2d(clusters.cpu().numpy())
        z = z if z.shape[1] == len(self.labels) else z.T
        self.rows.append([bits(one, self.labels) for one in z])


def _accelerator(settings: Mapping[str, Any]) -> str:
    return "cpu" if settings["device"] == "cpu" else "gpu"


def _encoder(
    recipe: Recipe,
    source: Source,
    settings: Mapping[str, Any],
    found: dict[str, Any],
    probes: Probes,
) -> nn.Module | None:
    """The encoder to probe; what is seen on the way goes into ``found``, also of a stopped run."""
    if settings["features"] == "raw pixels":
        return None
    if settings["features"] == "untrained":
        return untrained(recipe)
    split = source.train
    if settings.get("trainer"):
        made: nn.Module = _named(settings["trainer"])(recipe, split)
        return made
    watching = [_named(path)(recipe, split) for path in settings["watch"]]
    points = Points(epochs_of(settings["points"], recipe.epochs), probes)
    with tempfile.TemporaryDirectory(prefix="viewfinder-") as folder:
        run = Run(Path(folder))
        try:
            module = fit(recipe, split, run, Console(quiet=True), "", [*watching, points])
        finally:
            found["points"] = points.rows
            found["epochs"] = _epochs(run.metrics_file)
            found["watched"] = {type(c).__name__: c.rows for c in watching}
    assert split.labels is not None
    z = first_clusters(recipe, split).z if module.clusters is None else module.clusters
    z = np.arange(len(split)) if z is None else np.asarray(z.cpu() if isinstance(z, Tensor) else z)
    found["information"] = bits(z if z.ndim == 1 else z[:, 0], split.labels)
    if settings.get("shared") and source.test is not None:
        estimate = shared_information(module, source.test.data, recipe.seed)
        own = ("value", "low", "high", "ceiling", "protocol")
        found["shared"] = {key: getattr(estimate, key) for key in own}
    return module.encoder


def _named(path: str) -> Any:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _epochs(file: Path) -> list[dict[str, float]]:
    return _rows(file, KEPT)


def _rows(file: Path, columns: Sequence[str]) -> list[dict[str, float]]:
    """Some columns of a metrics.csv, if there is one."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [{k: float(row[k]) for k in columns if row.get(k)} for row in csv.DictReader(stream)]


def _further(settings: Mapping[str, Any], recipe: Recipe) -> list[Further]:
    """The transfer data, opened, each with the recipe that it is seen by and what is read of it."""
    shape = {"size": recipe.views.size, "channels": recipe.data.channels}
    found = []
    for other in settings["transfer"]:
        data = Data(**{**shape, **{k: v for k, v in other.items() if k != "targets"}})
        source = open_data(Data(**expand(data.model_dump())), recipe.seed)
        targets = tuple(other.get("targets", (None,)))
        source = with_statistics(source) if wanted(targets) else source
        kind = {"modality": recipe.data.modality, "shape": recipe.data.shape}
        data = data.model_copy(update=kind)
        found.append((recipe.model_copy(update={"data": data}), source, targets))
    return found


def _probes(
    settings: Mapping[str, Any],
    recipe: Recipe,
    source: Source,
    further: Sequence[Further],
    encoder: nn.Module | None,
) -> dict[str, Any]:
    """The scores on the source and on the transfer data."""
    part = recipe.data.model_copy(update={"source": settings["recipe"]["data"]["source"]})
    own = recipe.model_copy(update={"data": part})
    kinds: list[tuple[Sequence[str], nn.Module | None, dict[str, Any]]] = [
        (settings["protocols"], encoder, {})
    ]
    rms: float | None = None
    if encoder is not None and settings.get("rescaled"):
        rms = feature_rms(encoder, own, source)
        again = settings["protocols"][1:]
        kinds += [
            (again, Scaled(encoder, to / rms), {"scale": f"root mean square brought to {to:g}"})
            for to in settings["rescaled"]
        ]

    def scores(*one: Any) -> list[dict[str, Any]]:
        classes = one[-1] == (None,)  # ridge regression does not depend on the scale
        return [
            score
            for kind in (kinds if classes else kinds[:1])
            for score in _scores(settings, *kind, *one)
        ]

    found = {
        "scores": scores(own, source, (None,)),
        "transfer": [scores(*one) for one in further],
    }
    return found if rms is None else {**found, "feature_rms": rms}


class Scaled(nn.Module):
    """An encoder whose features are multiplied by a number."""

    def __init__(self, encoder: nn.Module, factor: float) -> None:
        super().__init__()
        self.encoder, self.factor = encoder, factor

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.encoder(x)
        return features * self.factor


def feature_rms(encoder: nn.Module, recipe: Recipe, source: Source) -> float:
    """The root mean square of all features of train."""
    device = pick_device(recipe.accelerator)
    view = recipe.view_maker().frozen
    x = extract(encoder, source.train.data, view, device=device, precision=recipe.precision)
    return float(x.double().square().mean().sqrt())


def _scores(
    settings: Mapping[str, Any],
    protocols: Sequence[str],
    encoder: nn.Module | None,
    facts: Mapping[str, Any],
    recipe: Recipe,
    source: Source,
    targets: Sequence[str | None],
) -> list[dict[str, Any]]:
    named = replace(source, spec=recipe.data.source)  # with ROOT for where the folder lies
    kind = settings["features"]
    found = probe(
        kind, encoder, recipe, named, protocols, targets=targets, largest=PIXELS, facts=facts
    )
    return [one.model_dump(exclude={"features", "per_class", "n_test"}) for one in found]
