"""The four panels of Figure 1 of Wu et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viewfinder.core.files import write_figure
from viewfinder.core.randomness import torch_generator
from viewfinder.data.sources.table import open_source
from viewfinder.views.steps.noise import uniform_noise

COLORS = np.array(["tab:red", "tab:blue"])

Runs = Mapping[float, Sequence[Mapping[str, Any]]]


def draw(runs: Runs, recipe: Mapping[str, Any], path: Path) -> None:
    """Draw data and representations (of seed 0) above, losses and transfer accuracy below.

    recipe  of one of the runs, as plain data
    """
    figure = Figure(figsize=(2.1 * max(4, len(runs)), 8.2), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(1.25, 1))
    above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    panels = above.subplots(2, len(runs), squeeze=False)
    for column, (eta, results) in enumerate(runs.items()):
        _points(panels[0, column], eta, recipe["data"]["source"])
        _representation(panels[1, column], results[0])
    panels[0, 0].set_ylabel("(a) views")
    panels[1, 0].set_ylabel("(b) representations")
    left, right = below.subplots(1, 2)
    _losses(left, runs)
    _accuracy(right, runs)
    write_figure(figure, path)


def _points(axes: Axes, eta: float, source: str) -> None:
    split = open_source(source, limit=1500).train
    assert split.labels is not None
    points = split.data.read(np.arange(len(split)))
    views = uniform_noise(points, eta, torch_generator(0, "spirals/drawn views"))
    axes.scatter(views[:, 0], views[:, 1], s=1, c=COLORS[split.labels])
    axes.set(title=f"η = {eta:g}", xticks=[], yticks=[], aspect="equal")


def _representation(axes: Axes, result: Mapping[str, Any]) -> None:
    axes.set(xticks=[], yticks=[])
    if result["points"] is None:
        axes.text(0.5, 0.5, "diverged", ha="center", transform=axes.transAxes)
        return
    z = torch.tensor(result["points"])
    axes.scatter(z[:, 0], z[:, 1], s=2, c=COLORS[np.array(result["labels"])])


def _losses(axes: Axes, runs: Runs) -> None:
    for eta, results in runs.items():
        curves = [r["losses"] for r in results if r["losses"] is not None]
        if curves:
            mean = np.mean(curves, axis=0)
            axes.plot(np.arange(len(mean)) + 1, mean, label=f"η = {eta:g}")
    axes.set(
        title="(c) training loss, mean over seeds", xlabel="epoch", ylabel="InfoNCE loss, nats"
    )
    axes.legend(fontsize="small", ncols=2)


def _accuracy(axes: Axes, runs: Runs) -> None:
    """Noise levels are drawn at equal distances: they span zero and two orders of magnitude."""
    values = [
        [r["accuracy"] for r in results if r["accuracy"] is not None] for results in runs.values()
    ]
    place = np.arange(len(values))
    mean = np.array([np.mean(v) if v else np.nan for v in values])
    deviation = np.array([np.std(v, ddof=1) if len(v) > 1 else 0.0 for v in values])
    axes.errorbar(place, mean, yerr=deviation, marker="o", capsize=3)
    for x, v in zip(place, values, strict=True):
        axes.plot([x] * len(v), v, ".", color="gray", markersize=4)
    axes.axhline(0.5, color="black", linestyle=":", label="chance")
    axes.axhline(0.7, color="tab:green", linestyle="--", label="the paper's peak")
    axes.set_xticks(place, [f"{eta:g}" for eta in runs])
    axes.set(title="(d) transfer accuracy, mean ± deviation over seeds", xlabel="noise η")
    axes.legend(fontsize="small")
