"""``viewfinder reproduce``: the list of experiments, or one of them with its progress."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from viewfinder.core.console import console, say
from viewfinder.core.errors import InterruptedRun
from viewfinder.core.files import writing
from viewfinder.core.outputs import check_folder, check_out
from viewfinder.papers.experiment import RECIPES
from viewfinder.papers.registry import EXPERIMENTS, find
from viewfinder.papers.registry import judge as judge_stored
from viewfinder.papers.registry import reproduce as run_experiment


def reproduce(
    name: str | None, out: Path | None, *, seeds: int | None, quick: bool, judge: bool = False
) -> None:
    """List the reproductions, or run one; runs that are finished are used again. ``judge``: make
    its tables and verdicts anew from the numbers in ``out``."""
    if name is None:
        _list()
        return
    out = out or Path("reproductions") / name.replace("/", "-")
    if judge:
        judge_stored(name, out)
        say(f"judged: {out}")
        return

    def progress(done: int, total: int, what: str) -> None:
        say(f"{done}/{total} {what}")

    find(name)
    check_folder(out)
    results = out / "results.json"  # it tells a folder of this command, pages and figures too
    for path in (results, out / "table.md", *sorted(out.glob("*.png"))):
        check_out(path, (b'"experiment"',), of=results)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        run_experiment(name, out, seeds=seeds, quick=quick, progress=progress)
    except (KeyboardInterrupt, InterruptedRun) as stop:
        how = f"the same command again; the runs that are finished lie in {out}"
        raise InterruptedRun(out, how) from stop
    say(f"results: {out}")
    _print_recipes(EXPERIMENTS[name].recipe_files())


def _list() -> None:
    say("viewfinder reproduce NAME [--quick] [--seeds N]; minutes on two cores, (quick)")
    for paper, members in groupby(EXPERIMENTS.values(), key=lambda e: e.paper):
        table = Table(title=paper, title_justify="left", box=SIMPLE_HEAD)
        for heading in ("name", "item", "claim", "minutes"):
            table.add_column(heading, no_wrap=heading in ("name", "minutes"))
        for e in members:
            table.add_row(e.name, e.item, e.claim, f"{e.minutes:g} ({e.quick_minutes:g})")
        console().print(table)
    files = sum(len(e.recipe_files()) for e in EXPERIMENTS.values())
    say(f"{files} recipes at the papers' scale lie in {RECIPES}")


def _print_recipes(files: Sequence[Path]) -> None:
    """Where the recipes at the papers' scale lie."""
    if files:
        say("At the paper's scale: viewfinder pretrain --recipe FILE, where FILE is")
    for file in dict.fromkeys(files):
        say(f"  {file}")
