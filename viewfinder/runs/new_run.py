"""The folder of a new run: found or made by one process, known to all."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from viewfinder.core.errors import UserError
from viewfinder.runs.checkpoint import DIGESTS
from viewfinder.runs.in_progress import NAME, check_free
from viewfinder.runs.run import Run


def is_first_process() -> bool:
    """False in the further processes that a distributed strategy starts, on any machine."""
    if "RANK" in os.environ:  # torchrun says it in a number
        return int(os.environ["RANK"]) == 0
    others = ("SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    return all(int(os.environ.get(name, 0)) == 0 for name in others)


def new_folder(out: Path | None, method: str) -> Path:
    """The folder of a new run; an existing run is never overwritten."""
    # The strategies start further processes with the same words: they find the folder here.
    if not is_first_process():
        if "VIEWFINDER_RUN" in os.environ:
            return Path(os.environ["VIEWFINDER_RUN"])
        if out is None:  # started beside the first by a launcher: it cannot know its choice
            raise UserError("several processes need a run folder by name", fix="--out DIR")
        return out
    if out is None:
        out = _next_folder(method)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        check_free(out)
        raise UserError(
            f"{out} already exists and is not empty; runs are never overwritten",
            fix=f"--resume {out} to continue it, or another --out",
        )
    os.environ["VIEWFINDER_RUN"] = str(out)
    return out


def _next_folder(method: str) -> Path:
    """runs/METHOD-N with the next free N, made at once so that no other run takes it."""
    root = Path("runs")
    names = (path.name for path in root.glob(f"{method}-*"))
    found = (re.fullmatch(rf"{re.escape(method)}-(\d+)", name) for name in names)
    number = max((int(match[1]) for match in found if match), default=0)
    while True:
        number += 1
        try:
            (root / f"{method}-{number}").mkdir(parents=True)
        except FileExistsError:  # another run started at the same moment
            continue
        except OSError as error:
            raise UserError(f"no run folder can be made here: {error}", fix="--out DIR") from error
        return root / f"{method}-{number}"


def remove_if_nothing_ran(run: Run) -> None:
    """A run refused before its first step leaves no folder that would be in the next one's way.

    To be called by the process that has it in progress.
    """
    if not is_first_process() or not run.folder.is_dir():
        return
    files = {path.name: path for path in run.folder.iterdir()}
    begun = (run.recipe_file, run.data_file, run.held_out_file, run.origin_file)
    folders = {run.files.name, run.start.name}
    if files.keys() <= {*(file.name for file in begun), *folders, DIGESTS, NAME, ".lock"}:
        for name in folders:
            shutil.rmtree(run.folder / name, ignore_errors=True)
        for name in files.keys() - folders:
            files[name].unlink()
        run.folder.rmdir()
        if run.folder.parent == Path("runs") and not any(Path("runs").iterdir()):
            Path("runs").rmdir()
