"""``viewfinder reproduce``: the table of experiments, and one of them with its progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from viewfinder.papers.registry import EXPERIMENTS, RECIPES
from viewfinder.papers.registry import reproduce as run_experiment
from viewfinder.pipeline import console


def reproduce(name: str | None, out: Path | None, *, seeds: int, quick: bool) -> None:
    """List the reproductions, or run one; runs that are finished are used again."""
    if name is None:
        _list()
        return
    out = out or Path("reproductions") / name.replace("/", "-")

    def progress(done: int, total: int, what: str) -> None:
        _say(f"{done}/{total} {what}")

    run_experiment(name, out, seeds=seeds, quick=quick, progress=progress)
    _say(f"results: {out}")
    _print_recipes(EXPERIMENTS[name].recipe_files())


def _list() -> None:
    table = Table(title="viewfinder reproduce NAME [--quick] [--seeds 3]")
    for heading in ("name", "paper", "claim", "minutes on two cores (quick)"):
        table.add_column(heading, no_wrap=heading == "name")
    for e in EXPERIMENTS.values():
        minutes = f"{e.minutes:g} ({e.quick_minutes:g})"
        table.add_row(e.name, f"{e.paper}, {e.item}", e.claim, minutes)
    console().print(table)
    files = sum(len(e.recipe_files()) for e in EXPERIMENTS.values())
    _say(f"{files} recipes at the papers' scale lie in {RECIPES}")


def _print_recipes(files: Sequence[Path]) -> None:
    """Where the recipes at the papers' scale lie."""
    if files:
        _say("At the paper's scale: viewfinder pretrain --recipe FILE, where FILE is")
    for file in dict.fromkeys(files):
        _say(f"  {file}")


def _say(line: str) -> None:
    console().print(line, highlight=False, markup=False, soft_wrap=True)
