"""``viewfinder embed``: the embedding of every image of a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viewfinder.core.errors import UserError
from viewfinder.evaluation.scoring import write_all_embeddings
from viewfinder.runs.opening import check_kind, open_data, override
from viewfinder.runs.run import Run, load_encoder


def embed(
    run: Run,
    data: str,
    out: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    split: str | None = None,
) -> int:
    """Write the embeddings of the source ``data`` to the Parquet file ``out``; returns the number
    of rows.

    overrides  of the run's data.*, nested: {"data": {"limit": 300}}
    split      one split only; None: all of the source

    Raises UserError for what cannot be read, opened or written.
    """
    encoder, recipe, _ = load_encoder(run)
    recipe = override(recipe, overrides or {}, data, allowed=("data",))
    source = open_data(recipe.data, recipe.seed)
    check_kind(recipe, source)
    if split is not None and split not in source.splits:
        raise UserError(f"--split {split}: {data} has {', '.join(sorted(source.splits))}")
    return write_all_embeddings(recipe, source, encoder, out, split)
