"""Refuse a combination of parts that makes no sense, before anything runs, with the reason."""

from __future__ import annotations

import math
from typing import Any

from viewfinder.core.errors import UserError, unknown
from viewfinder.data.source import Split
from viewfinder.evaluation.probes.classification import PROTOCOLS
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.recipes.recipe import Recipe
from viewfinder.recipes.view_keys import seen_keys
from viewfinder.training.assignment import kind_of_positives


def check_parts(recipe: Recipe) -> None:
    """Raise UserError where the five parts contradict each other; needs no data."""
    objective = OBJECTIVES[recipe.objective.name]
    negatives, target = recipe.negatives.name, recipe.target.name
    _check_views(recipe)
    if negatives not in objective.negatives:
        raise UserError(
            f"objective={objective.name} cannot use negatives={negatives}: "
            f"it contrasts with {' or '.join(objective.negatives)}",
            fix=f"negatives={objective.negatives[0]}",
        )
    _check_positives(recipe)
    if objective.target == "constant" and target == "shared":
        raise UserError(
            f"objective={objective.name} has no negatives; with target=shared a constant output is "
            "its best solution, so the run would collapse",
            fix="target=momentum, or target=detached with head.predictor=[256,128]",
        )
    if objective.target == "constant" and target == "detached" and not recipe.head.predictor:
        raise UserError(
            f"objective={objective.name} with target=detached and no predictor collapses: both "
            "sides are one network",
            fix="head.predictor=[256,128], or target=momentum",
        )
    if objective.target == "unused" and target != "shared":
        raise UserError(
            f"objective={objective.name} compares the online projections with each other and "
            f"has no use for target={target}",
            fix="target=shared, or objective=info_nce",
        )
    if negatives == "queue" and target != "momentum":
        raise UserError(
            f"negatives=queue keeps keys of past steps; with target={target} the network that "
            "made them moves away at full speed",
            fix="target=momentum",
        )
    for protocol in recipe.evaluation.protocols:
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
    _check_heads(recipe)


def _check_positives(recipe: Recipe) -> None:
    objective, positives = OBJECTIVES[recipe.objective.name], recipe.positives.name
    kind = kind_of_positives(recipe)
    if objective.positives == ("clusterings",) and kind != "clusterings":
        raise UserError(
            f"objective={objective.name} needs clusters with centroids, not positives={positives}",
            fix="positives=kmeans positives.k=[100,200,400]",
        )
    if kind not in objective.positives:
        reason = {
            "instance": "it learns from labels or clusters",
            "tags": "it knows no degrees of being the same",
        }.get(kind, "only the views of one image are positives in it")
        raise UserError(
            f"objective={objective.name} has no use for positives={positives}: {reason}",
            fix="positives=labels" if kind == "instance" else "objective=supcon",
        )
    _check_clusterings(recipe, kind)
    if recipe.positives.sampler == "clusters" and kind != "clusters":
        raise UserError(
            f"positives.sampler=clusters draws pairs from clusters; positives={positives} has none",
            fix="positives=attributes, or positives.sampler=shuffle",
        )


def _check_clusterings(recipe: Recipe, kind: str) -> None:
    objective, options = OBJECTIVES[recipe.objective.name], recipe.positives.options()
    k, start = getattr(options, "k", 1), getattr(options, "start", 0)
    if isinstance(k, list) and kind != "clusterings":
        raise UserError(
            f"positives.k={k}: objective={objective.name} takes one clustering, pcl several",
            fix=f"positives.k={k[0]}",
        )
    if start >= recipe.epochs:
        raise UserError(
            f"positives.start={start}, but the run has only {recipe.epochs} epochs: no clusters "
            "would ever be made",
            fix=f"positives.start={recipe.epochs - 1}, or more epochs",
        )
    if objective.outputs == "classes" and start:
        raise UserError(
            f"objective={objective.name} predicts clusters, and with positives.start={start} there "
            "are none in the first epochs",
            fix="positives.start=0",
        )


def _check_views(recipe: Recipe) -> None:
    views, objective = recipe.views, OBJECTIVES[recipe.objective.name]
    low, high = objective.views
    if views.count < low or (high is not None and views.count > high):
        wanted = (
            f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
        )
        raise UserError(
            f"objective={objective.name} works on {wanted} views of an image, "
            f"views.count is {views.count}",
            fix=f"views.count={low}",
        )
    if views.small_count and high is not None:
        raise UserError(
            f"objective={objective.name} works on {high} views and has no use for small ones",
            fix="views.small_count=0",
        )
    if objective.pairs and not views.split_row.partners:
        raise UserError(
            f"objective={objective.name} compares views of two images, views.split="
            f"{views.split_row.name} cuts both from one",
            fix="views.split=draws",
        )
    one_way = objective.one_way(recipe.objective.options()) and recipe.target.name == "momentum"
    seen = 1 if one_way else views.count
    both = recipe.regularizers.given & {"ip", "mib"}
    if both and seen != 2:
        way = "objective.symmetric=true" if views.count == 2 else "views.count=2"
        raise UserError(
            f"regularizers.{min(both)} compares the features of two views; the online encoder of "
            f"{recipe.method} sees {seen}",
            fix=f"regularizers.{min(both)}=0" + (f", or {way}" if low <= 2 else ""),
        )


def _check_heads(recipe: Recipe) -> None:
    predictor, projector = recipe.head.predictor, recipe.head.projector
    objective = OBJECTIVES[recipe.objective.name]
    if predictor and objective.target == "unused":
        raise UserError(
            f"head.predictor={predictor}: objective={objective.name} compares the projections with "
            "each other, and nothing is predicted",
            fix="head.predictor=null, or longer head.projector",
        )
    if predictor and predictor[-1] != projector[-1]:
        raise UserError(
            f"head.predictor ends with {predictor[-1]} units, head.projector with {projector[-1]}; "
            "the prediction is compared with a projection, so they must be equal",
            fix=f"head.predictor=[{predictor[0]},{projector[-1]}]",
        )
    if recipe.batch_size % recipe.devices:
        raise UserError(
            f"batch_size={recipe.batch_size} is over all devices and must be a multiple of "
            f"devices={recipe.devices}"
        )
    optimizer = recipe.optimizer
    if optimizer.nesterov and (optimizer.name not in ("sgd", "lars") or not optimizer.momentum):
        raise UserError(
            "optimizer.nesterov=true needs the momentum of sgd or lars, not "
            f"optimizer={optimizer.name} with momentum {optimizer.momentum:g}",
            fix="optimizer.nesterov=false",
        )
    if recipe.optimizer.warmup_epochs > recipe.epochs:
        raise UserError(
            f"optimizer.warmup_epochs={recipe.optimizer.warmup_epochs} is more than "
            f"epochs={recipe.epochs}"
        )


def _smaller(k: int | list[int], images: int) -> str:
    """What fits of the numbers of clusters asked for, or a tenth of the images."""
    several = k if isinstance(k, list) else [k]
    fitting = [n for n in several if n <= images // 2] or [max(2, images // 10)]
    return str(fitting).replace(" ", "") if isinstance(k, list) else str(fitting[-1])


def _check_reconstruction(recipe: Recipe) -> None:
    """One decoder makes all views again, so they must be alike; needs a complete recipe."""
    if "rc" not in recipe.regularizers.given:
        return
    first, second = (seen_keys(spec) for spec in recipe.views.specs(recipe.domain))
    for key in first.keys() | second.keys() if recipe.views.count > 1 else ():
        values = first.get(key), second.get(key)
        if values[0] != values[1]:
            raise UserError(
                f"regularizers.rc has one decoder for all views, but views.first.{key} is "
                f"{values[0]} and views.second.{key} {values[1]}",
                fix=f"the same {key} for both, or regularizers.rc=0",
            )


def check_data(recipe: Recipe, split: Split) -> None:
    """Raise UserError where the recipe asks for what the data does not have."""
    positives: Any = recipe.positives.options()
    if recipe.positives.name == "labels" and split.labels is None:
        raise UserError(
            f"positives=labels, but {recipe.data.source} has no labels",
            fix="data.labels=FILE.csv, or positives=instance",
        )
    most = max(getattr(positives, "sizes", (0,)))
    if most > len(split):
        raise UserError(
            f"positives.k={most} clusters, but there are only {len(split)} images",
            fix=f"positives.k={_smaller(positives.k, len(split))}",
        )
    _check_reconstruction(recipe)
    if recipe.batch_size > len(split):
        raise UserError(
            f"batch_size is {recipe.batch_size} but there are only {len(split)} images to train on",
            fix=f"batch_size={2 ** int(math.log2(max(len(split), 2)))}",
        )
