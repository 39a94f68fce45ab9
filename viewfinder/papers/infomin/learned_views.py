"""Learned views: Figures 7 and 8 and Table 5 of InfoMin.

A generator is trained with each seed, on the images that the encoder is then trained on, and its
first channel is contrasted with the others by two networks, as CMC does. The one claim is that of
Table 5 in RGB, semi-supervised 86.0 against supervised 79.9; in YDbDr the paper's own differences
(0.4 from raw views) are too small to be told apart here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viewfinder.core.counted import counted
from viewfinder.papers import desk
from viewfinder.papers.claims import Claim, better, difference
from viewfinder.papers.desk import COMMON, GENERATOR, Cell, Overrides, accuracies, experiment
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.result import Result, Results, percent, table
from viewfinder.papers.selection import learning_rates

SOURCE: Overrides = {"source": f"npz:{ROOT}/cifar10", "limit": 2000}
LABELLED = 0.25  # of the images; of the paper's hundred thousand a twentieth
EPOCHS = 12
RATES = (0.003, 0.01)
FASTER = 5  # than the paper's learning rates, for some hundred steps
SPACES = {"rgb": "RGB", "ydbdr": "YDbDr"}
GOALS = ("unsupervised", "supervised", "semi-supervised")
RAW = "raw views"
WIDE = {"name": "convnet", "widths": [32, 64, 128, 256]}
PAPER: Mapping[str, tuple[str, str]] = {
    "unsupervised": ("82.4 ± 3.2", "84.3 ± 0.5"),
    "supervised": ("79.9 ± 1.5", "78.5 ± 2.3"),
    "semi-supervised": ("86.0 ± 0.6", "87.0 ± 0.3"),
    RAW: ("81.5 ± 0.2", "86.6 ± 0.2"),
}
"""Table 5, on STL-10, in percent."""


def name_of(space: str, row: str, more: str = "") -> str:
    """The name of a cell."""
    return f"{SPACES[space]}: {row}{more}"


def cell(space: str, goal: str | None, more: str = "", **parts: Any) -> Cell:
    """CMC on the views of a generator that starts from a colour space, or of the space itself.

    parts  ``kind`` of the generator; ``encoder``, ``turn`` and ``choices`` of the cell
    """
    last: Any = {"learned": GENERATOR} if goal else space
    recipe = {
        "method": "cmc",
        "data": SOURCE,
        "epochs": EPOCHS,
        "views": {"steps": [{"crop": [0.2, 1.0]}, "flip", last]},
        "negatives": {"name": "batch"},
        "target": {"name": "shared"},
        "objective": {"name": "info-nce", "temperature": 0.1, "pairs": "across"},
        **({"encoder": parts["encoder"]} if "encoder" in parts else {}),
    }
    learned: dict[str, Any] = {}
    if goal:
        rates = {"unsupervised": (6e-4, 2e-4)}.get(goal, (6e-4, 6e-4))
        learned = {
            "method": goal,
            "generator": {
                "space": space,
                "kind": parts.get("kind", "nvp"),
                "lr": FASTER * rates[0],
            },
            "networks": {"lr": FASTER * rates[1], "projector": [128, 64]},
            **({} if goal == "unsupervised" else {"labelled": LABELLED}),
        }
    return Cell(
        name_of(space, goal or RAW, more),
        recipe,
        learned=learned,
        choices=parts.get("choices", {}),
        turn=parts.get("turn", 0),
    )


def cells(quick: bool = False) -> list[Cell]:
    """Table 5's arms in RGB first; then those in YDbDr, the volume-preserving ones of Figure 7, and
    the wider networks of Figure 8. Quick: of Table 5 in RGB alone."""
    rates = {} if quick else learning_rates(*RATES)
    goals: Sequence[str | None] = (*GOALS, None)
    made = [cell("rgb", goal, choices=rates) for goal in goals]
    if not quick:
        made += [cell("ydbdr", goal, turn=1) for goal in goals]
        made += [
            cell("rgb", goal, ", volume-preserving", kind="vp", turn=2)
            for goal in (GOALS[0], GOALS[2])
        ]
        made += [cell("rgb", goal, ", wider", encoder=WIDE, turn=3) for goal in (GOALS[2], None)]
    return [*made, *desk.baselines(cell("rgb", None))]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Accuracy against I_NCE in learned-views.png."""
    plot(results, out / "learned-views.png")
    return Result(
        protocol={
            "generators": f"six blocks of 8 hidden units, trained with each seed for "
            f"{counted(desk.LEARNED['epochs'], 'epoch')} of the same images, {FASTER} times "
            f"the paper's learning rates, {LABELLED:.0%} of the labels; linear probes are fitted "
            "on all",
            "I_NCE": "log of the batch size less the loss of the encoders' last epoch",
        },
        figures=["learned-views.png"],
        notes=[
            "Table 5's arms in RGB have a learning rate chosen on held-out images; the others have "
            f"{COMMON['optimizer']['lr']}",
            "only semi-supervised against supervised views from RGB is claimed; all else is shown",
        ],
    )


def information(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """I_NCE in nats of the encoders' last epoch, in the mean over the seeds."""
    last = [run["epochs"][-1]["loss"] for run in runs if run["epochs"] and not run["stopped"]]
    if not last or len(last) < len(runs):
        return None
    return math.log(COMMON["batch_size"]) - statistics.fmean(last)


def plot(results: Results, file: Path) -> None:
    """Figure 7: each arm's accuracy over its I_NCE."""
    from matplotlib.figure import Figure

    from viewfinder.core.files import write_figure

    known = accuracies(results)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, runs in results.items():
        shared, spread = information(runs), known[name]
        if shared is None or spread is None:
            continue
        axes.errorbar(
            shared,
            100 * spread.mean,
            yerr=100 * (spread.deviation or 0.0),
            marker="o" if name.startswith("RGB") else "s",
            linestyle="",
            capsize=2,
            label=name,
        )
    axes.set_xlabel("I_NCE of the views, nats")
    axes.set_ylabel("top-1, %")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    write_figure(figure, file)


def claims(results: Results) -> list[Claim]:
    """That of Table 5 in RGB."""
    known = accuracies(results)
    semi, supervised = name_of("rgb", "semi-supervised"), name_of("rgb", "supervised")
    return [
        Claim(
            "from RGB, semi-supervised views are better than supervised ones",
            better(known, semi, supervised),
        )
    ]


def tables(results: Results) -> list[str]:
    """Table 5 beside the paper's; all arms with their I_NCE; and Figure 8."""
    known = accuracies(results)
    spaces = [s for s in SPACES if name_of(s, RAW) in results]
    five = []
    for row, theirs in PAPER.items():
        beside = dict(zip(SPACES, theirs, strict=True))
        pairs = [(percent(known[name_of(space, row)]), beside[space]) for space in spaces]
        five.append([row, *(text for pair in pairs for text in pair)])
    head = [f"{SPACES[s]}{who}" for s in spaces for who in (", here", ", the paper on STL-10")]
    rows = []
    for name, runs in results.items():
        own = information(runs)
        raw = name_of("rgb" if name.startswith("RGB") else "ydbdr", RAW)
        raw += ", wider" if name.endswith(", wider") else ""
        gap = difference(better(known, name, raw)) if raw in known and name != raw else "-"
        rows.append([name, "-" if own is None else f"{own:.2f}", percent(known[name]), gap])
    return [
        table(["Table 5, views", *head], five),
        table(
            ["Figures 7 and 8", "I_NCE, nats", "top-1", "top-1 - raw views of its space"],
            rows,
            "Differences with their own 95 % interval; shown, and not judged.",
        ),
    ]


run, judge = experiment(cells, report, claims, tables)
