"""Refuse a combination of parts that makes no sense, before anything runs, with the reason."""

from __future__ import annotations

import math

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError, unknown
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.data.source import Split, layers_of
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.negatives.table import NEGATIVES
from viewfinder.networks.encoders import ENCODERS
from viewfinder.networks.places import VIEW
from viewfinder.objectives.pairs import PAIRINGS, pairs_of
from viewfinder.objectives.table import OBJECTIVES
from viewfinder.positives.contract import Kind, RefreshedOptions
from viewfinder.positives.needs import all_labels
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.recipes.recipe import Recipe
from viewfinder.recipes.regularizers import weight_in_words
from viewfinder.recipes.view_keys import seen_keys
from viewfinder.regularizers.table import REGULARIZERS
from viewfinder.views.table import SPLITS


def check_parts(recipe: Recipe) -> None:
    """Raise UserError where the five parts contradict each other; needs no data."""
    objective = OBJECTIVES[recipe.objective.name]
    negatives, target = recipe.negatives.row, recipe.target.row
    _check_asked(recipe)
    _check_views(recipe)
    _check_regularizers(recipe)
    if negatives.kind not in objective.negatives:
        usable = [row.name for row in NEGATIVES.values() if row.kind in objective.negatives]
        raise UserError(
            f"objective={objective.name} cannot use negatives={negatives.name}: "
            f"it contrasts with {' or '.join(usable)}",
            fix=f"negatives={usable[0]}",
        )
    _check_positives(recipe)
    _check_target(recipe)
    _check_keys(recipe)
    if negatives.needs_momentum and not target.apart:
        raise UserError(
            f"negatives={negatives.name} keeps keys of past steps; with target={target.name} the "
            "network that made them moves away at full speed",
            fix="target=momentum",
        )
    if target.memory and not negatives.gives_positive:
        known = [row.name for row in NEGATIVES.values() if row.gives_positive]
        raise UserError(
            f"target={target.name} takes the positive from the memory of the negatives, and "
            f"negatives={negatives.name} has none",
            fix=f"negatives={known[0]}",
        )
    if negatives.learns != objective.teaches:
        learning = [row.name for row in NEGATIVES.values() if row.learns]
        teaching = [row.name for row in OBJECTIVES.values() if row.teaches]
        if negatives.learns:
            raise UserError(
                f"negatives={negatives.name} learn what to propose, which "
                f"objective={objective.name} does not teach them",
                fix=f"objective={teaching[0]}",
            )
        raise UserError(
            f"objective={objective.name} teaches negatives what to propose, and "
            f"negatives={negatives.name} do not learn",
            fix=f"negatives={learning[0]}, or objective=info-nce",
        )
    for protocol in recipe.evaluation.protocols:
        PROBES.find(protocol)
    recipe.encoder.row.check(recipe.encoder.options())
    _check_heads(recipe)
    _check_pieces(recipe)
    _check_processes(recipe)


def _check_pieces(recipe: Recipe) -> None:
    """Pieces need an encoder of each, and heads and a target that leave them apart."""
    objective, head = recipe.objective.row, recipe.head
    if objective.pieces is None:
        return
    encoder = ENCODERS[recipe.encoder.name]
    if not encoder.pieces:
        known = [row.name for row in ENCODERS.values() if row.pieces]
        raise UserError(
            f"objective={objective.name} compares the patches of a view, and "
            f"encoder={encoder.name} gives no features of each",
            fix=f"encoder={known[0]}",
        )
    if head.projector or head.predictor:
        raise UserError(
            f"objective={objective.name} has a predictor of its own, of the features themselves; "
            f"head.projector is {head.projector}, head.predictor {head.predictor}",
            fix="head.projector=[] head.predictor=null",
        )
    if not recipe.target.row.online:
        raise UserError(
            f"objective={objective.name} compares the patches of one view with each other; "
            f"target={recipe.target.name} is of another network",
            fix="target=shared",
        )


def _check_target(recipe: Recipe) -> None:
    objective, target = OBJECTIVES[recipe.objective.name], recipe.target.row
    if objective.target == "constant" and target.gradient:
        raise UserError(
            f"objective={objective.name} has no negatives; with target={target.name} a constant "
            "output is its best solution, so the run would collapse",
            fix="target=momentum, or target=detached with head.predictor=[256,128]",
        )
    if objective.target == "constant" and not target.apart and not recipe.head.predictor:
        raise UserError(
            f"objective={objective.name} with target={target.name} and no predictor collapses: "
            "both sides are one network",
            fix="head.predictor=[256,128], or target=momentum",
        )
    if objective.target == "unused" and not target.gradient:
        raise UserError(
            f"objective={objective.name} compares the online projections with each other and "
            f"has no use for target={target.name}",
            fix="target=shared, or objective=info-nce",
        )


def _check_keys(recipe: Recipe) -> None:
    """Keys that are places of a stage: of the trained network, and of one that has such stages."""
    objective, target = recipe.objective.row, recipe.target.row
    read = objective.keys and objective.keys(recipe.objective.options())
    if read is None:
        return
    if not target.gradient:
        raise UserError(
            f"objective={objective.name} compares with an inner stage of the network that is "
            f"trained, and target={target.name} has no such keys",
            fix="target=shared",
        )
    own = recipe.encoder.row.plugin  # of those only a pass tells
    if read.stage != VIEW and not (recipe.encoder.row.maps or own):
        usable = [row.name for row in ENCODERS.values() if row.maps]
        raise UserError(
            f"objective={objective.name} compares with the places of a stage, and "
            f"encoder={recipe.encoder} has no stage that gives a map",
            fix=f"encoder={usable[0]}",
        )


def _check_asked(recipe: Recipe) -> None:
    """Places that are queries are told from what may stand there, and from nothing else."""
    split, negatives = recipe.views.split_row, recipe.negatives.row
    if split.asks != negatives.of_places:
        usable = [row.name for row in NEGATIVES.values() if row.of_places]
        asking = [row.name for row in SPLITS.values() if row.asks]
        met = f"views.split={split.name} and negatives={negatives.name}"
        if split.asks:
            raise UserError(
                f"{met}: what is asked of a view are places, and these negatives are data",
                fix=f"negatives={usable[0]}",
            )
        raise UserError(
            f"{met}: these negatives are what may stand at a place, and no view asks for any",
            fix=f"views.split={asking[0]}",
        )
    if not split.asks:
        return
    if recipe.positives.row.gives != ("instance",):
        raise UserError(
            f"views.split={split.name} asks for places, and positives={recipe.positives.name} are "
            "of data",
            fix="positives=instance",
        )
    if not recipe.target.row.memory:
        raise UserError(
            f"views.split={split.name} asks for places, whose positives the negatives know; "
            f"target={recipe.target.name} has none",
            fix="target=bank",
        )
    for name in recipe.regularizers.chosen:
        raise UserError(
            f"regularizers.{name} is of whole views, and views.split={split.name} asks for places",
            fix=f"regularizers.{name}=0",
        )


def _check_positives(recipe: Recipe) -> None:
    objective, part = OBJECTIVES[recipe.objective.name], recipe.positives
    kind = part.row.kind(objective.positives)
    if kind is None:
        reason, fix = _UNUSED[part.row.gives[0]]
        if objective.positives == ("clusterings",):
            reason, fix = (
                "it needs clusters with centroids",
                "positives=kmeans positives.k=[100,200,400]",
            )
        raise UserError(
            f"objective={objective.name} has no use for positives={part.name}: {reason}", fix=fix
        )
    sampler = SAMPLERS[part.sampler]
    if sampler.kinds is not None and kind not in sampler.kinds:
        raise UserError(
            f"positives.sampler={sampler.name} makes {sampler.summary}; positives={part.name} "
            "has none",
            fix="positives=attributes, or positives.sampler=shuffle",
        )
    _check_sizes(recipe, kind)
    options = part.options()
    if isinstance(options, RefreshedOptions):
        _check_start(recipe, options.start)


_UNUSED: dict[Kind, tuple[str, str]] = {
    "instance": ("it learns from labels or clusters", "positives=labels"),
    "clusters": ("only the views of one image are positives in it", "objective=supcon"),
    "clusterings": ("only the views of one image are positives in it", "objective=supcon"),
    "tags": ("it knows no degrees of being the same", "objective=supcon"),
}
"""Why positives of a form can be of no use to an objective, and what helps."""


def _check_sizes(recipe: Recipe, kind: Kind) -> None:
    """Raise UserError for a list of clusterings where one is wanted, and where the objective must
    know beforehand how many clusters there will be."""
    objective, row = OBJECTIVES[recipe.objective.name], recipe.positives.row
    k = getattr(recipe.positives.options(), row.sized_by) if row.sized_by else None
    if isinstance(k, list) and kind != "clusterings":
        raise UserError(
            f"positives.{row.sized_by}={k}: objective={objective.name} takes one clustering, pcl "
            "several",
            fix=f"positives.{row.sized_by}={k[0]}",
        )
    if row.refreshed and objective.outputs == "classes" and row.sized_by is None:
        raise UserError(
            f"objective={objective.name} predicts clusters, and how many there will be of "
            f"positives={row.name} shows only when they are made",
            fix="objective=supcon, or positives=kmeans",
        )


def _check_start(recipe: Recipe, start: int) -> None:
    objective = OBJECTIVES[recipe.objective.name]
    if start >= recipe.epochs:
        raise UserError(
            f"positives.start={start}, but the run has only {counted(recipe.epochs, 'epoch')}: no "
            "clusters would ever be made",
            fix=f"positives.start={recipe.epochs - 1}, or more epochs",
        )
    if objective.outputs == "classes" and start:
        raise UserError(
            f"objective={objective.name} predicts clusters, and with positives.start={start} there "
            "are none in the first epochs",
            fix="positives.start=0",
        )


def _check_views(recipe: Recipe) -> None:
    if recipe.objective.row.scores == "pairs":
        _check_pairs(recipe)
    else:
        _check_count(recipe)


def _check_pairs(recipe: Recipe) -> None:
    """Pairs need two views, or a memory that stands for the second; none is made for nothing."""
    views, objective = recipe.views, recipe.objective.row
    if objective.partners and not views.split_row.partners:
        raise UserError(
            f"objective={objective.name} compares views of two images, views.split="
            f"{views.split_row.name} cuts both from one",
            fix="views.split=draws",
        )
    pairing = PAIRINGS.find(recipe.objective.pairs or objective.pairing)
    alone = recipe.target.row.memory or objective.keys is not None
    # places of a view, or pieces of one, are compared with those of the same view
    least = pairing.least if alone else 1 if objective.pieces is not None else 2
    if views.count < least or (views.count > 2 and not pairing.small):
        raise UserError(
            f"objective={objective.name} compares {'two' if least == 2 else 'one or two'} views of "
            f"an image with objective.pairs={pairing.name}, views.count is {views.count}",
            fix="views.count=2" + (", or objective.pairs=all" if views.count > 2 else ""),
        )
    if views.small_count and not pairing.small:
        raise UserError(
            f"objective={objective.name} compares two views with objective.pairs={pairing.name} "
            "and has no use for small ones",
            fix="views.small_count=0, or objective.pairs=all",
        )


def _check_count(recipe: Recipe) -> None:
    views, objective = recipe.views, recipe.objective.row
    low, high = objective.views
    if recipe.objective.pairs is not None:
        raise UserError(
            f"objective.pairs={recipe.objective.pairs}: objective={objective.name} scores all "
            "views together",
            fix="objective.pairs=null",
        )
    if views.count < low or (high is not None and views.count > high):
        wanted = (
            f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
        )
        raise UserError(
            f"objective={objective.name} works on {wanted} views of an image, "
            f"views.count is {views.count}",
            fix=f"views.count={low}",
        )
    if views.count + views.small_count == 1:
        _check_single_view(recipe)


def _check_single_view(recipe: Recipe) -> None:
    """Of one view per image, only other images can be positives."""
    objective, positives = recipe.objective.row, recipe.positives
    if objective.refuses_alone is None:
        return
    if positives.row.kind(objective.positives) == "instance":
        raise UserError(
            f"views.count=1: with positives={positives.name} the other views of an image are its "
            f"only positives, and objective={objective.name} needs some",
            fix="views.count=2, or positives=labels",
        )
    options = positives.options()
    if isinstance(options, RefreshedOptions) and options.start:
        raise UserError(
            f"views.count=1: before epoch positives.start={options.start} each image is its own "
            f"cluster and has no positive, and objective={objective.name} needs some",
            fix="positives.start=0, or views.count=2",
        )
    pairs = SAMPLERS[positives.sampler].pairs
    if objective.refuses_alone(recipe.objective.options()) and not pairs:
        raise UserError(
            "views.count=1: an image that is alone in its cluster in a batch has no positive, "
            f"which objective={objective.name} takes for an error",
            fix="views.count=2, positives.sampler=clusters, or objective.missing=skip",
        )


def _views_shown(recipe: Recipe) -> int:
    """How many large views pass through the online encoder."""
    objective, large = recipe.objective.row, recipe.views.count
    if objective.scores == "views" or recipe.target.row.online:
        return large
    pairs = pairs_of(
        objective, recipe.objective.pairs or objective.pairing, ["main"] * large, large
    )
    return len({query for query, _ in pairs}) or large  # across networks: each is a query


def _check_regularizers(recipe: Recipe) -> None:
    """Refuse what needs, or weighs, views that the online encoder does not see."""
    seen, count = _views_shown(recipe), recipe.views.count
    way = "objective.pairs=symmetric" if count == 2 else "views.count=2"
    possible = count == 2 or recipe.objective.row.scores == "views"
    both = f", or {way}" if possible else ""
    for name, options in recipe.regularizers.chosen.items():
        least, most = REGULARIZERS[name].views
        if seen < least or (most is not None and seen > most):
            to = "or more" if most is None else f"to {most}"
            wanted = f"{least}" if least == most else f"{least} {to}"
            raise UserError(
                f"regularizers.{name} works on {wanted} views; the online encoder of "
                f"{recipe.method} sees {seen}",
                fix=f"regularizers.{name}=0{both}",
            )
        first, second = options.weights
        if seen == 1 and second and isinstance(options.weight, tuple):
            raise UserError(
                f"regularizers.{name}.weight={weight_in_words(options.weight)} weighs a second "
                f"view; the online encoder of {recipe.method} sees the first alone",
                fix=f"regularizers.{name}={first or second:g}{both}",
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
    if predictor and projector and predictor[-1] != projector[-1]:
        raise UserError(
            f"head.predictor ends with {predictor[-1]} units, head.projector with {projector[-1]}; "
            "the prediction is compared with a projection, so they must be equal",
            fix=f"head.predictor=[{predictor[0]},{projector[-1]}]",
        )
    optimizer = recipe.optimizer
    known = OPTIMIZERS[optimizer.name].momentum
    if optimizer.nesterov and not (known and optimizer.momentum):
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


def _check_processes(recipe: Recipe) -> None:
    """Refuse a strategy that Lightning does not know, and batches that cannot be shared out."""
    if recipe.batch_size % recipe.processes:
        times = f" x nodes={recipe.nodes}" if recipe.nodes > 1 else ""
        raise UserError(
            f"batch_size={recipe.batch_size} is over all devices and must be a multiple of "
            f"devices={recipe.devices}{times}"
        )
    if recipe.strategy == "auto":  # known without the engine, which takes seconds to import
        return
    from lightning.pytorch.strategies import StrategyRegistry

    # those that start processes by copying or pickling this one cannot: a run starts them anew
    other = ("spawn", "fork", "notebook")
    registered = StrategyRegistry.available_strategies()
    known = ["auto", *(name for name in registered if not any(word in name for word in other))]
    if recipe.strategy not in known:
        raise unknown("strategy", recipe.strategy, known)


def _check_views_are_alike(recipe: Recipe) -> None:
    """A regularizer that reads the views has one module for all; needs a complete recipe."""
    readers = [n for n in recipe.regularizers.chosen if "views" in REGULARIZERS[n].needs]
    if not readers:
        return
    first, second = (seen_keys(spec) for spec in recipe.views.specs(recipe.domain))
    for key in first.keys() | second.keys() if recipe.views.count > 1 else ():
        values = first.get(key), second.get(key)
        if values[0] != values[1]:
            raise UserError(
                f"regularizers.{readers[0]} takes views that are alike, but views.first.{key} is "
                f"{values[0]} and views.second.{key} {values[1]}",
                fix=f"the same {key} for both, or regularizers.{readers[0]}=0",
            )


def _check_networks(recipe: Recipe) -> None:
    """Refuse what several networks cannot give, or one alone; needs a complete recipe."""
    maker, objective = recipe.view_maker(), recipe.objective.row
    networks = [domain.network for domain in maker.domains]
    pairing = recipe.objective.pairs or objective.pairing
    if objective.scores == "pairs" and not pairs_of(objective, pairing, networks, maker.count):
        raise UserError(
            f"objective.pairs={pairing} compares views that different networks take, and "
            f"views.split={recipe.views.split_row.name} gives all views to one",
            fix="objective.pairs=symmetric, or views.split=channels:1",
        )
    if objective.scores == "pairs":
        formed = pairs_of(objective, pairing, networks, maker.count)
        shown = maker.count if recipe.views.split_row.asks else len(networks)
        idle = sorted(set(range(shown)) - {view for pair in formed for view in pair})
        if idle:
            raise UserError(
                f"objective.pairs={pairing} compares nothing with view {idle[0] + 1} of "
                f"{len(networks)}, which views.split={recipe.views.split_row.name} makes",
                fix="objective.pairs=to-last, or views.split=draws",
            )
        if objective.keys is not None and any(maker.domains[key].pieces for _, key in formed):
            raise UserError(
                f"objective={objective.name} compares with the places of whole views, and "
                f"views.split={recipe.views.split_row.name} has a key in pieces",
                fix="views.split=draws",
            )
    if recipe.regularizers.chosen and len(set(networks)) > 1:
        name = next(iter(recipe.regularizers.chosen))
        raise UserError(
            f"regularizers.{name} is of the views of one network, and "
            f"views.split={recipe.views.split_row.name} has {len(set(networks))}",
            fix=f"regularizers.{name}=0, or views.split=draws",
        )
    if recipe.positives.row.refreshed and len(set(networks)) > 1:
        raise UserError(
            f"positives={recipe.positives.name} clusters what one network gives, and "
            f"views.split={recipe.views.split_row.name} has {len(set(networks))}",
            fix="positives=instance, or views.split=draws",
        )


def _check_layers(recipe: Recipe, split: Split) -> None:
    """Views that are composed of layers need data that know them; needs a complete recipe."""
    known = layers_of(split.data, np.arange(1))
    missing = [name for name in recipe.view_maker().layers if name not in known]
    if missing:
        name = recipe.views.split_row.name
        raise UserError(
            f"views.split={name} composes a view of what is not shared, and the {missing[0]} of "
            f"{recipe.data.source} is not known",
            fix=f"data=moving-digits, or views.split={name} without share",
        )


def check_data(recipe: Recipe, split: Split) -> None:
    """Raise UserError where the recipe asks for what the data does not have."""
    recipe.positives.row.check(recipe.positives.options(), split)
    if recipe.objective.row.outputs == "classes" and "labels" in recipe.positives.row.needs:
        all_labels(split, "a classifier")
    _check_views_are_alike(recipe)
    _check_networks(recipe)
    _check_layers(recipe, split)
    if recipe.batch_size > len(split):
        raise UserError(
            f"batch_size is {recipe.batch_size} but there are only {len(split)} images to train on",
            fix=f"batch_size={2 ** int(math.log2(max(len(split), 2)))}",
        )
