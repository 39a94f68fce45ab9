"""``viewfinder group``: lists of images become a file of clusters to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.console import say
from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.core.outputs import check_out
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.cluster_file import MARK, read_clusters, write_clusters
from viewfinder.positives.said import read_said
from viewfinder.runs.opening import override, reopened, training_split
from viewfinder.runs.own_data import check_there
from viewfinder.runs.run import Run


def group(
    run: Run,
    overrides: Mapping[str, Any] | None = None,
    *,
    same: Sequence[Path] = (),
    differ: Sequence[Path] = (),
    leave_out: Sequence[Path] = (),
    over: Path | None = None,
    out: Path,
) -> Assignment:
    """Write Z of the images that a run was trained on, as ``read_said`` makes it of lists, to the
    Parquet file ``out`` for ``positives=file:``.

    over  a file of clusters to begin with; None: each image its own

    Raises UserError where nothing is said, and as ``read_said`` and ``read_clusters`` do.
    """
    if not (same or differ or leave_out):
        raise UserError("nothing is said of any image", fix="--same FILE, a list of images")
    if differ and over is None:
        raise UserError(
            "--differ takes images out of clusters; without --over each image is its own already, "
            "and differs from all others",
            fix="--over FILE, clusters that exist",
        )
    if out.suffix.lower() != ".parquet":
        raise UserError(
            f"{out} is no Parquet file, which alone can say what is left out",
            fix=str(out.with_suffix(".parquet")),
        )
    check_out(out, (MARK,))
    trained = run.recipe()
    recipe = override(trained, overrides or {}, None, ("data",))
    check_there(run, recipe)
    source = reopened(run, recipe.data, recipe.seed, trained)
    split = training_split(recipe.data, source)
    made = read_said(
        source,
        split,
        same,
        differ,
        leave_out,
        None if over is None else read_clusters(over, split),
        limited=recipe.data.limit is not None,
    )
    files = {"same": same, "differ": differ, "leave_out": leave_out, "over": [over] if over else []}
    about = {key: [str(file) for file in given] for key, given in files.items() if given}
    write_clusters(out, made, {"source": source.spec, **about}, split)
    return made


def show(made: Assignment, out: Path) -> None:
    """Print what was said, and what to do with it."""
    for note in made.notes:
        say(f"note: {note}")
    sizes = np.bincount(made.clusters if made.keep is None else made.clusters[made.keep])
    joint = sizes[sizes > 1]
    left_out = 0 if made.keep is None else int((~made.keep).sum())
    say(
        f"{out}: {counted(int(joint.sum()), 'image')} in {counted(len(joint), 'cluster')}, "
        f"{int((sizes == 1).sum()):,} each its own, {left_out:,} left out"
    )
