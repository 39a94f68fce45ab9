"""``viewfinder embed``: the embedding of every image of a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.core.errors import UserError
from viewfinder.evaluation.embedding_files import check_files, check_format
from viewfinder.evaluation.scoring import write_all_embeddings
from viewfinder.recipes.recipe import merge
from viewfinder.runs.checkpoint import epoch_of
from viewfinder.runs.opening import check_kind, override, reopened, say_unfinished
from viewfinder.runs.run import Run, load_encoder


def embed(
    run: Run,
    data: str,
    out: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    split: str | None = None,
    unit_length: bool = False,
) -> int:
    """Write the embeddings of the source ``data`` to the file ``out``, whose ending says the
    format: .parquet, .csv, .npy or .npz; returns the number of rows.

    overrides    of the run's data.*, nested: {"data": {"limit": 300}}. A limit of the run itself
                 does not hold here: all images are embedded
    split        one split only; None: all of the source. Images that the run held out are "test"
    unit_length  each vector divided by its length

    Vectors are computed in float32, whatever ``precision`` the run was trained in; the file
    says so.

    Raises UserError for what cannot be read, opened or written.
    """
    if out.name:  # "" is refused below
        check_files(out)
    check_format(out)
    encoder, trained, checkpoint = load_encoder(run)
    say_unfinished(trained, checkpoint)
    recipe = override(trained, merge({"data": {"limit": None}}, overrides or {}), data, ("data",))
    source = reopened(run, recipe.data, recipe.seed, trained)
    check_kind(recipe, source)
    if split is not None and split not in source.splits:
        raise UserError(f"--split {split}: {data} has {', '.join(sorted(source.splits))}")
    about = {
        "run": str(run.folder),
        "method": trained.method,
        "epoch": epoch_of(checkpoint),
        "epochs": trained.epochs,
    }
    return write_all_embeddings(
        recipe, source, encoder, out, split, unit_length=unit_length, about=about
    )
