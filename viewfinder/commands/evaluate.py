"""``viewfinder evaluate``: probe the frozen encoder of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.core.errors import unknown
from viewfinder.data.sources.table import same_source
from viewfinder.evaluation.pixels import raw_name
from viewfinder.evaluation.probes.scores import Score
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.evaluation.scoring import score
from viewfinder.report.gather import gather
from viewfinder.report.page import write_report
from viewfinder.runs.opening import check_kind, override, reopened, say_unfinished
from viewfinder.runs.own_data import check_there, check_unchanged, same_but_for_places
from viewfinder.runs.run import Run, load_encoder


def evaluate(
    run: Run,
    protocols: Sequence[str] | None = None,
    source: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    baselines: bool = False,
) -> list[Score]:
    """Score the encoder of a run on its own or other data; the scores are kept in the run, and its
    report is written again.

    protocols  of the table of probes; None: the recipe's
    source     data to score on; None: the run's own
    overrides  of the run's data.* and evaluation.*, nested: {"data": {"limit": 300}}
    baselines  measure raw pixels and the untrained encoder too

    Where the test images are a part of the run's own data that it held out, they stay the test
    images with other labels or another limit: see ``reopened``.

    Raises UserError for what cannot be read, opened or scored.

    >>> evaluate(Run(Path("runs/mine")), ["knn"])[0].top1  # doctest: +SKIP
    0.61
    """
    for protocol in protocols or ():
        if protocol not in PROBES:
            raise unknown("protocol", protocol, [*PROBES, "transfer"])
    encoder, trained, checkpoint = load_encoder(run)
    say_unfinished(trained, checkpoint)
    recipe = override(trained, overrides or {}, source)
    of_run = source is None or same_source(source, trained.data.source)
    if of_run:
        check_there(run, recipe)
    data = reopened(run, recipe.data, recipe.seed, trained)
    if of_run and same_but_for_places(recipe.data, trained.data):
        data = check_unchanged(run, data, asked=source is not None)
    check_kind(recipe, data)
    if protocols:
        own = recipe.evaluation.model_copy(update={"protocols": list(protocols)})
        recipe = recipe.model_copy(update={"evaluation": own})
    raw = raw_name(data.train.data.modality)
    kinds = ["trained", *(("untrained", raw) if baselines else ())]
    scores = score(recipe, data, run, encoder, kinds)
    write_report(gather(run.folder), run.report)
    return scores
