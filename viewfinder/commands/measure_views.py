"""``viewfinder measure --views``: what the views of several makers share, on equal terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table

from viewfinder.commands.measure import say_few
from viewfinder.core.console import console, progress, say
from viewfinder.core.errors import UserError
from viewfinder.core.files import path_of, write_figure
from viewfinder.core.outputs import PICTURE, check_out
from viewfinder.core.validation import readable
from viewfinder.data.fingerprint import fingerprint
from viewfinder.data.source import Source, Split
from viewfinder.information.chart import bars
from viewfinder.information.discrete import Unit
from viewfinder.information.estimate import Estimate, too_few
from viewfinder.information.estimator import Protocol, candidates, estimate, protocol_of, rows_of
from viewfinder.information.stored import Arm, Comparison, Saving, check_alike, read, write
from viewfinder.information.view_pairs import LabelPairs, ViewPairs
from viewfinder.networks.view_critic import label_critic, view_critic
from viewfinder.positives.needs import all_labels
from viewfinder.recipes.recipe import Recipe, complete, keys, parse_overrides
from viewfinder.recipes.recipe import build as build_recipe
from viewfinder.recipes.views import Views, layered
from viewfinder.runs.opening import only, open_data, training_split
from viewfinder.views.maker import ViewMaker
from viewfinder.views.table import PRESETS

MOST, LARGEST, STEPS = 10_000, 64, 400
"""Images, side of a view in px, and steps of a critic, unless said otherwise: what two processor
cores do in minutes."""
TITLES = {"views": "I(view; view)", "label": "I(view; label)"}


def compare(
    words: Sequence[str],
    spec: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    labels: bool = False,
    unit: Unit = "nats",
    out: Path = Path("views.json"),
    **protocol: Any,
) -> dict[str, dict[str, Estimate]]:
    """Measure what the first two views of each maker share, all by the same critic, steps and K on
    the same held-out images; print a table, and write results and a chart.

    words   view makers, see ``views_of``
    labels  measure what the first view says of the label, too
    out     JSON file, the chart beside it. What is there already is taken, so that a comparison
            goes on where it stopped, with more seeds or more makers

    Returns estimates by maker and measure ("views", "label"), in ``unit``. Raises UserError for
    views that cannot be made of the data, for too few images, and for a file of other settings.
    """
    chart = out.with_suffix(".png")
    check_out(out, (b'"arms"', b'"protocol"'), endings=(".json",))
    check_out(chart, PICTURE)
    asked = {" ".join(word.split()): views_of(word) for word in words}
    given = {key: value for key, value in protocol.items() if value is not None}
    how = protocol_of({"steps": STEPS, **given})
    rows_of(how)  # refuses a bound that is none
    recipe, source, split = _opened(spec, overrides or {})
    how = how.model_copy(update={"k": candidates(how.k, len(split))})
    say_few(len(split))
    measures = ("views", "label") if labels else ("views",)
    pairs = _PAIRS | ({"label": _of_label(split)} if labels else {})
    now = Comparison(
        {**recipe.data.model_dump(mode="json"), "fingerprint": fingerprint(source)},
        how.model_dump(exclude={"seeds", "inputs", "critic"}),
    )
    found = _continued(out, now)
    recipes = _recipes(recipe, split, found, asked)
    makers = {name: _maker(name, one) for name, one in recipes.items()}
    _say_terms(makers, how, split, spec)
    write(out, found)  # before hours are spent on what cannot be written
    trained = [(name, measure) for name in makers for measure in measures]
    results: dict[str, dict[str, Estimate]] = {name: {} for name in makers}
    with progress("critics", len(trained) * how.seeds * how.steps) as tick:
        for name, measure in trained:
            own = found.arms[name].results.setdefault(measure, {})
            known = Saving(own, partial(_kept, out, found, name, measure))
            these, critic = pairs[measure](split, makers[name], how)
            results[name][measure] = estimate(
                these, critic, how, shuffled=False, known=known, tick=tick
            )
    if unit == "bits":
        results = {n: {m: one.bits for m, one in own.items()} for n, own in results.items()}
    write(out, found, results)
    panels = {f"{TITLES[m]}, {spec}": {n: own[m] for n, own in results.items()} for m in measures}
    write_figure(bars(panels), chart, dpi=120)
    _show(results, measures, unit)
    say(f"every seed and the protocol are in {out}, the chart is {chart}")
    return results


def views_of(word: str) -> Views:
    """The views that a word says: a preset or a YAML file of a recipe, and keys over it as in one:
    ``"simclr views.grey=0"``, ``"views.steps=[crop,normalise]"``, ``"mine.yaml"``.

    Raises UserError for what is none of them.
    """
    head, *rest = re.split(r"\s+(?=views[.=])", word.strip())
    if re.match(r"views[.=]", head):
        head, rest = "", [head, *rest]
    own = parse_overrides(rest).get("views", {})
    if head.endswith((".yaml", ".yml")) or (head and path_of(head).is_file()):
        return build_recipe(None, {"views": own}, path_of(head), trusted=False).views
    base = {"preset": PRESETS.find(head).name} if head else {}
    try:
        return Views.model_validate(layered(base, own))
    except ValidationError as error:
        raise readable(error, keys(), prefix=("views",)) from error


def _opened(spec: str, overrides: Mapping[str, Any]) -> tuple[Recipe, Source, Split]:
    data = dict(only(overrides, ("data",)).get("data", {}))
    recipe = build_recipe("simclr", {"data": {"limit": MOST, **data, "source": spec}})
    source = open_data(recipe.data, recipe.seed)
    return recipe, source, training_split(recipe.data, source)


def _continued(out: Path, now: Comparison) -> Comparison:
    before = read(out)
    if before is None:
        return now
    check_alike(out, before, now)
    say(f"note: {out} is continued; it has {', '.join(before.arms) or 'nothing yet'}")
    return before


def _recipes(
    recipe: Recipe, split: Split, found: Comparison, asked: Mapping[str, Views]
) -> dict[str, Recipe]:
    """Complete recipes of what is stored and of what is asked for, which is stored too."""
    every = {name: Views.model_validate(arm.views) for name, arm in found.arms.items()}
    made = {}
    for name, views in (every | dict(asked)).items():
        try:
            made[name] = _complete(recipe, views, split)
        except UserError as error:
            raise UserError(f"{name}: {error.message}", fix=error.fix) from error
        plain = made[name].views.plain()
        if name in found.arms and plain != found.arms[name].views:
            raise UserError(
                f"{name} is other views now than those that were measured under this name",
                fix="another --out",
            )
        found.arms.setdefault(name, Arm(plain))
    return made


def _complete(recipe: Recipe, views: Views, split: Split) -> Recipe:
    shape, modality = split.data.shape, split.data.modality
    if modality == "images" and views.size is None:
        views = views.model_copy(update={"size": min(*shape[1:], LARGEST)})
    return complete(recipe.model_copy(update={"views": views}), shape, modality)


def _maker(name: str, recipe: Recipe) -> ViewMaker:
    maker = recipe.view_maker()
    if len(maker.domains) < 2:
        raise UserError(f"{name} has one view; two are expected", fix=f'"{name} views.count=2"')
    return maker


def _say_terms(makers: Mapping[str, ViewMaker], how: Protocol, split: Split, spec: str) -> None:
    shapes = {tuple(domain.shape for domain in maker.domains[:2]) for maker in makers.values()}
    (first, *_), *_ = shapes
    say(
        f"{', '.join(makers)}: {len(split):,} images of {spec}, half of them held out; the same "
        f"critic, {how.steps} steps at most, {how.k} candidates, {how.seeds} seeds for each"
    )
    if len(shapes) > 1:
        say("note: the views differ in shape, and so do the critics: compare with care")
    elif split.data.modality == "images" and min(first[-2:]) < min(split.data.shape[1:]):
        say(f"note: views are of {first[-1]} px, images of {split.data.shape[-1]} (views.size)")


Pairing = Callable[[Split, ViewMaker, Protocol], tuple[ViewPairs, Callable[[], torch.nn.Module]]]


def _of_views(
    split: Split, maker: ViewMaker, how: Protocol
) -> tuple[ViewPairs, Callable[[], torch.nn.Module]]:
    first, second = maker.domains[:2]
    return ViewPairs(split.data, maker), lambda: view_critic(first, second, how.width, how.dim)


def _of_label(split: Split) -> Pairing:
    if split.labels is None:
        raise UserError("--labels: these data have no labels", fix="data.labels=labels.csv")
    labels = torch.as_tensor(all_labels(split, "--labels")).long()
    classes = int(labels.max()) + 1
    if bool((labels == labels[0]).all()):
        raise UserError("--labels: all labels are alike, so nothing can be said of them")

    def made(
        split: Split, maker: ViewMaker, how: Protocol
    ) -> tuple[ViewPairs, Callable[[], torch.nn.Module]]:
        pairs = LabelPairs(split.data, maker, labels)
        return pairs, lambda: label_critic(maker.domains[0], classes, how.width, how.dim)

    return made


_PAIRS: dict[str, Pairing] = {"views": _of_views}


def _kept(out: Path, found: Comparison, name: str, measure: str) -> None:
    write(out, found)
    last, result = list(found.arms[name].results[measure].items())[-1]
    say(f"{name}, {TITLES[measure]}, {last}: {result.value:.3f} nats")


def _show(
    results: Mapping[str, Mapping[str, Estimate]], measures: Sequence[str], unit: Unit
) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(f"{unit}, 95 % interval")
    for measure in measures:
        table.add_column(TITLES[measure], justify="right")
    for name, own in results.items():
        table.add_row(name, *(_cell(own[measure]) for measure in measures))
    console().print(table, markup=False)
    ceiling = next(iter(results.values()))[measures[0]].ceiling
    if ceiling is not None:
        say(f"ceiling: {ceiling:.3f} {unit}; ≥ is a value within a tenth of it")
    for name, own in results.items():
        for measure in measures:
            for flag in own[measure].flags:
                if flag != too_few(own[measure].protocol["pairs"]):  # which was said before
                    say(f"note: {name}, {TITLES[measure]}: {flag}")


def _cell(one: Estimate) -> str:
    at_least = "≥ " if one.near_ceiling else ""
    return f"{at_least}{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
