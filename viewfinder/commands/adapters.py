"""What the commands do, as functions of recipes and runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from viewfinder.commands import pipeline
from viewfinder.core.errors import UserError
from viewfinder.core.files import write_atomically
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.new_run import is_first_process, new_folder, remove_if_nothing_ran
from viewfinder.runs.results import Score
from viewfinder.runs.run import Run, load_encoder

resume = pipeline.resume


def pretrain(recipe: Recipe, out: Path | None = None) -> Run:
    check_parts(recipe)
    recipe, source = pipeline._with_data(recipe)
    run = Run(new_folder(out, recipe.method))
    if is_first_process():
        write_atomically(run.recipe_file, recipe.to_yaml())
    try:
        return pipeline._train_and_finish(recipe, source, run)
    except UserError:
        remove_if_nothing_ran(run)
        raise


def evaluate(
    run: Run,
    protocols: Sequence[str] | None = None,
    source: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    baselines: bool = False,
) -> list[Score]:
    from viewfinder.evaluation.scoring import score
    from viewfinder.report.gather import gather
    from viewfinder.report.page import write_report

    encoder, recipe, _ = load_encoder(run)
    words = list(_words(overrides or {}))
    recipe = pipeline.override(recipe, words, ("data", "evaluation"), source)
    data = pipeline.open_data(recipe.data, recipe.seed)
    if protocols:
        own = recipe.evaluation.model_copy(update={"protocols": list(protocols)})
        recipe = recipe.model_copy(update={"evaluation": own})
    kinds = ["trained", *(("untrained", "raw pixels") if baselines else ())]
    scores = score(recipe, data, run, encoder, kinds)
    write_report(gather(run.folder), run.report)
    return scores


def embed(
    run: Run,
    data: str,
    out: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    split: str | None = None,
) -> int:
    from viewfinder.evaluation.scoring import write_all_embeddings

    encoder, recipe, _ = load_encoder(run)
    recipe = pipeline.override(recipe, list(_words(overrides or {})), ("data",), data)
    source = pipeline.open_data(recipe.data, recipe.seed)
    if split is not None and split not in source.splits:
        raise UserError(f"--split {split}: {data} has {', '.join(sorted(source.splits))}")
    return write_all_embeddings(recipe, source, encoder, out, split)


def _words(given: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from _words(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"
