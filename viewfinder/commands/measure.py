"""``viewfinder measure``: bounds on the information that two sets of numbers share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from viewfinder.core.console import console, progress, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, write_atomically
from viewfinder.core.outputs import check_out
from viewfinder.data.source import Data
from viewfinder.data.sources.npz import check_held, read_header
from viewfinder.evaluation.shared import embedded
from viewfinder.information.discrete import Unit, information
from viewfinder.information.embeddings import of_embeddings
from viewfinder.information.estimate import Estimate, too_few
from viewfinder.information.estimator import (
    check_enough,
    mutual_information,
    protocol_of,
    trainings,
)
from viewfinder.information.planted import planted
from viewfinder.recipes.recipe import build as build_recipe
from viewfinder.runs.opening import only, open_data, training_split
from viewfinder.runs.run import Run


def arrays(
    x: Path, y: Path, *, unit: Unit = "nats", out: Path | None = None, **protocol: Any
) -> Estimate:
    """Measure the pairs of two .npy files, print what was found, and return it in ``unit``.

    out  JSON file that gets the estimate with its protocol

    Raises UserError for files that cannot be read or written, and as ``mutual_information``.
    """
    check_json(out)
    left, right = read(x), read(y)
    if len(left) != len(right):
        raise UserError(
            f"{x} has {len(left)} rows and {y} has {len(right)}; row i of both is a pair, so as "
            "many are expected"
        )
    say_few(len(left))
    found = trained("critics", left, right, **protocol)
    found = found.bits if unit == "bits" else found
    show(found)
    if out is not None:
        write_atomically(out, json.dumps(asdict(found), indent=1).encode())
    return found


def views(
    run: Run, *, unit: Unit = "nats", out: Path | None = None, **protocol: Any
) -> dict[str, Estimate]:
    """Measure what the views of a run share, as its networks see them, on images held out from it.

    Returns lower bounds: "projections", by their cosine, as the run compares them; "features", by a
    critic that is trained anew on the encoder's; and, where there are labels, "label": what the
    features of one view say of it. Views are drawn once of each image.

    Raises UserError for what cannot be read or written, for a source without held-out images, and
    as ``mutual_information``.
    """
    check_json(out)
    run.recipe()  # what is no run is told before the engine is imported, which takes seconds
    from viewfinder.training.restore import restored

    module = restored(run)
    recipe = module.recipe
    source = open_data(recipe.data, recipe.seed)
    if source.test is None:
        raise UserError(
            f"{recipe.data.source} has no test part, and on images that were trained on the bound "
            "says nothing",
            fix="pretrain on data with a held-out part",
        )
    say_few(len(source.test))
    with progress("views", len(source.test.data)) as advance:
        features, projections = embedded(module, source.test.data, recipe.seed, advance)
    how = {key: protocol[key] for key in ("k",) if key in protocol}
    found = {
        "projections": of_embeddings(*projections, **how, seed=recipe.seed),
        "features": trained("features", *map(varying, features), **protocol),
    }
    labels = source.test.labels
    if labels is not None and labels.min() != labels.max():
        one_hot = varying(F.one_hot(torch.as_tensor(labels).long()))
        found["label"] = trained("label", varying(features[0]), one_hot, **protocol)
    if unit == "bits":
        found = {name: estimate.bits for name, estimate in found.items()}
    for name, estimate in found.items():
        say(f"{len(source.test):,} held-out images, {SHARED[name]}")
        show(estimate)
    if out is not None:
        told = {name: asdict(estimate) for name, estimate in found.items()}
        write_atomically(out, json.dumps(told, indent=1).encode())
    return found


NOISE = (0.0, 0.1, 0.3, 0.6)
PIXELS = 16


def calibrate(
    spec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    unit: Unit = "nats",
    out: Path | None = None,
    **protocol: Any,
) -> list[tuple[float, float, Estimate]]:
    """Measure a known amount planted in a source's own images; print how far the values are off.

    Pairs are images of the same class, except for a share of ``NOISE``: see ``planted``. The critic
    sees pixels, of large images means over a grid of 16 by 16.

    Returns (share, the known information, the estimate), in ``unit``. Raises UserError for data
    that cannot be opened, have no labels or too few images, and as ``mutual_information``.
    """
    check_json(out)
    data = dict(only(overrides or {}, ("data",)).get("data", {}))
    part = build_recipe("simclr", {"data": {**data, "source": spec}}).data
    split = training_split(part, open_data(part, 0))
    if split.labels is None or split.data.modality != "images":
        raise UserError(f"{spec} has no images with labels, from which pairs could be made")
    found = []
    for noise in NOISE:
        x, y = planted(split.labels, noise)
        if noise == NOISE[0]:
            say_few(len(x))
        known = information(split.labels[x], split.labels[y], unit=unit).i
        left, right = _pixels(split.data, x), _pixels(split.data, y)
        value = trained(f"{noise:.0%} of another class", left, right, **protocol)
        found.append((noise, known, value.bits if unit == "bits" else value))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("other class", f"known, {unit}", "measured", "95 % interval", "error"):
        table.add_column(heading, justify="right")
    for noise, known, one in found:
        spread = f"{one.low:.3f} to {one.high:.3f}"
        table.add_row(
            f"{noise:.0%}", f"{known:.3f}", f"{one.value:.3f}", spread, f"{one.value - known:+.3f}"
        )
    console().print(table)
    say(
        f"{found[0][2].protocol['pairs']:,} pairs of {spec}, no image twice; other values from "
        "as many pairs of its images may be too small by as much"
    )
    if out is not None:
        told = [{"noise": n, "known": i, "estimate": asdict(one)} for n, i, one in found]
        write_atomically(out, json.dumps(told, indent=1).encode())
    return found


def check_json(out: Path | None) -> None:
    """Raise UserError where ``out`` cannot take an estimate, or is a file of something else."""
    if out is not None:
        check_out(out, (b'"ceiling"', b'"by_k"', b'"protocol"'), endings=(".json",))


def trained(label: str, x: Any, y: Any, **protocol: Any) -> Estimate:
    """``mutual_information`` with a bar while critics are trained."""
    how = protocol_of(protocol)
    with progress(label, trainings(how) * how.steps) as tick:
        return mutual_information(x, y, tick=tick, **protocol)


def say_few(pairs: int) -> None:
    """Say before anything is computed that the pairs are few; raise UserError for fewer than 64."""
    check_enough(pairs)
    if (few := too_few(pairs)) is not None:
        say(f"note: {few}")


def _pixels(data: Data, index: np.ndarray) -> Tensor:
    """Images as rows of numbers, without columns that never vary."""
    images = data.read(index).float()
    height, width = (min(side, PIXELS) for side in images.shape[2:])
    return varying(F.adaptive_avg_pool2d(images, (height, width)).flatten(1))


SHARED = {
    "projections": "x and y two views by the run's projections, their cosine as critic",
    "features": "x and y two views by the run's features, a critic of its own",
    "label": "x a view by the run's features, y the label",
}


def varying(x: Tensor) -> Tensor:
    """The columns that vary: a unit that is always 0 says nothing."""
    return x[:, (x != x[:1]).any(0)]


def read(path: Path) -> np.ndarray:
    """The array of a .npy file, without pickles. Raises UserError for what is none."""
    try:
        with file_of(path).open("rb") as file:
            check_held(path.name, read_header(file), path.stat().st_size - file.tell())
            file.seek(0)
            found = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not an array of numbers as .npy: {error}", fix="np.save(path, array)"
        ) from error
    if not isinstance(found, np.ndarray) or found.ndim == 0:
        raise UserError(
            f"{path} holds no array (N, D) or (N,) but several, or one number",
            fix="np.save(path, array) of one array",
        )
    return found


def show(found: Estimate) -> None:
    """Print an estimate: value, interval, ceiling, control, by K, flags and protocol."""
    unit, how = found.unit, found.protocol
    say(
        f"I(x;y) is at least {found.value:.3f} {unit}, 95 % interval of the bound "
        f"{found.low:.3f} to {found.high:.3f} ({how['bound']} with {how['k']} candidates)"
    )
    seeds = ", ".join(f"{value:.3f}" for value in found.seeds)
    say(f"seeds: {seeds}; {how['held_out']:,} held-out of {how['pairs']:,} pairs each")
    if found.ceiling is not None:
        say(f"ceiling: {found.ceiling:.3f} {unit}, the most that {how['k']} candidates can show")
    if found.shuffled is not None:
        say(f"shuffled pairs give {found.shuffled:.3f} {unit}, where 0 is right")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("candidates")
    for k in found.by_k:
        table.add_column(str(k), justify="right")
    table.add_row(unit, *(f"{value:.3f}" for value in found.by_k.values()))
    console().print(table)
    for flag in found.flags:
        if flag != too_few(how["pairs"]):  # which was said before
            say(f"note: {flag}")
