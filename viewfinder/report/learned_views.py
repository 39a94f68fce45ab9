"""The page of a training of views: pictures before and after, and what the views share."""

from __future__ import annotations

import base64
import csv
import io
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from torch import Tensor

from viewfinder import __version__
from viewfinder.core.errors import printable
from viewfinder.core.files import write_atomically
from viewfinder.recipes.view_learning import ViewLearning
from viewfinder.report.sprites import encode
from viewfinder.runs.view_run import ViewRun
from viewfinder.views.learned_space import LearnedSpace

REACH = 2.5
"""Deviations from the mean that are black and white in a picture."""
CURVES = {
    "i_nce": ("I_NCE", "nats: the bound on what the two views share, by the networks in training"),
    "label_loss": ("Label loss", "nats: cross-entropy of the two classifiers in the mean"),
    "log_volume": ("Volume", "log |det| of the generator, in the mean over pixels; 0 keeps it"),
    "channel_spread": ("Spread", "of the narrowest channel, from the 5th to the 95th percentile"),
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def write_report(run: ViewRun, recipe: ViewLearning, images: Tensor, space: LearnedSpace) -> None:
    """Write report.html of a training.

    images  float (n, C, H, W) in [0, 1], as an evaluation sees them
    """
    environment = Environment(
        loader=PackageLoader("viewfinder.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("viewfinder.report") / "template" / "report.css").read_text(encoding="utf-8")
    page = environment.get_template("learned_views.html").render(
        title=f"{recipe.method} views of {recipe.data.source}",
        version=__version__,
        style=Markup(style),
        policy=POLICY,
        curves=[_curve(*one) for one in _columns(run)],
        names=_names(images.shape[1]),
        rows=_pictures(images, space),
        scale=max(1, round(96 / images.shape[-1])),
        side=images.shape[-1],
        recipe=recipe.to_yaml(),
    )
    write_atomically(run.report, page.encode("utf-8", "replace"))


def _names(channels: int) -> list[str]:
    before = [f"channel {c + 1}" for c in range(channels)]
    after = ["view 1", *(f"view 2, channel {c}" for c in range(1, channels))]
    return ["image", *(f"before: {name}" for name in before), *(f"after: {n}" for n in after)]


@torch.no_grad()
def _pictures(images: Tensor, space: LearnedSpace) -> list[list[str]]:
    """Of each image itself, its channels in the colour space, and its learned channels."""
    before, after = space.before(images), space(images)
    colour = images if images.shape[1] in (1, 3) else images[:, :1]
    columns = [colour, *_grey(before / before.std((0, 2, 3), keepdim=True)), *_grey(after)]
    return [[_uri(column[i]) for column in columns] for i in range(len(images))]


def _grey(x: Tensor) -> list[Tensor]:
    """Each channel (n, 1, H, W) in [0, 1]: its mean is grey."""
    centred = x - x.mean((0, 2, 3), keepdim=True)
    return list((centred / (2 * REACH) + 0.5).split(1, 1))


def _uri(picture: Tensor) -> str:
    pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return encode(np.ascontiguousarray(pixels), budget=25_000)


def _columns(run: ViewRun) -> list[tuple[str, list[float]]]:
    with run.metrics_file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [(key, [float(row[key]) for row in rows]) for key in CURVES if key in rows[0]]


def _curve(key: str, values: list[float]) -> dict[str, Any]:
    """A column of metrics.csv as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(values) + 1), values, marker="." if len(values) < 40 else "")
    axes.set_xlabel("epoch")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    title, meaning = CURVES[key]
    picture = base64.b64encode(buffer.getvalue()).decode()
    return {
        "title": title,
        "meaning": meaning,
        "last": f"{values[-1]:.3g}",
        "picture": f"data:image/png;base64,{picture}",
    }
