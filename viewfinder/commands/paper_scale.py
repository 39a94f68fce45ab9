"""``viewfinder reproduce NAME --scale paper``: a whole table of a paper, run after run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from viewfinder.commands.pretrain import pretrain, resume
from viewfinder.core.console import say
from viewfinder.core.errors import InterruptedRun, RunStopped, UserError
from viewfinder.core.files import write_atomically
from viewfinder.core.outputs import check_folder, check_out
from viewfinder.core.plain_yaml import read_mapping
from viewfinder.papers.paper_scale import PROBE, PaperRun, comparison, moved, plan
from viewfinder.papers.registry import find
from viewfinder.recipes.recipe import build, merge, parse_overrides

TABLE = "table.md"


def reproduce_at_scale(
    name: str, out: Path | None, root: Path, words: Sequence[str] = (), *, only_list: bool = False
) -> None:
    """Train the recipes of an experiment in order of value, each in a folder of ``out``, and print
    what came out beside the paper's numbers.

    A run that is finished is not run again, one that was begun goes on where it was; one whose data
    are not there, or that collapsed, is told, and the next one runs. ``root`` is the folder of the
    data, which the recipes call ``data``; ``words`` are laid over every recipe. ``only_list``: tell
    the runs and train nothing.

    Raises UserError for an unknown name and an experiment without recipes, and where no run could
    be made; InterruptedRun where it was.
    """
    experiment = find(name)
    if not experiment.recipes:
        raise UserError(
            f"{name} has no recipes: it is at the paper's scale already",
            fix=f"viewfinder reproduce {name}",
        )
    out = out or Path("reproductions") / f"{name.replace('/', '-')}-paper"
    runs = plan(experiment, out)
    if only_list:
        _list(runs)
        return
    check_folder(out)
    check_out(out / TABLE, (PROBE.encode(),))
    overrides = parse_overrides(words)
    reasons: dict[str, str] = {}
    refused: list[UserError] = []
    for number, run in enumerate(runs, start=1):
        if run.state == "finished":
            continue
        say(f"{number}/{len(runs)} {run.name}")
        try:
            _go_on(run, root, overrides)
        except (KeyboardInterrupt, InterruptedRun) as stop:
            how = f"the same command again; what is finished lies in {out}"
            raise InterruptedRun(out, how) from stop
        except UserError as error:
            refused.append(error)
            reasons[run.name] = f"not run: {error}"
        except RunStopped as stop:
            reasons[run.name] = f"stopped: {stop}"
        if run.name in reasons:
            say(f"note: {run.name}: {reasons[run.name]}")
    if len(refused) == len(runs):
        raise refused[0]
    text = comparison(runs, reasons)
    write_atomically(out / TABLE, f"{text}\n")
    say(text.splitlines())
    say(f"table: {out / TABLE}")


def _go_on(run: PaperRun, root: Path, overrides: dict[str, object]) -> None:
    if run.state == "begun":
        resume(run.folder)
        return
    places = moved(read_mapping(run.file), root)
    pretrain(build(None, merge(places, overrides), file=run.file), run.folder)


def _list(runs: Sequence[PaperRun]) -> None:
    for number, run in enumerate(runs, start=1):
        paper = "" if run.paper is None else f", the paper: {run.paper:.2f}"
        say(f"{number}/{len(runs)} {run.name}: {run.state}{paper}")
