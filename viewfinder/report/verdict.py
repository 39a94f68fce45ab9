"""What it means where features are no better than what was there without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.evaluation.probes.scores import AnyScore, Score, comparable
from viewfinder.networks.encoders import ENCODERS

RIVALS = {
    "raw pixels": "raw pixels",
    "raw values": "the data themselves",
    "untrained": "the same encoder untrained",
}
"""Features that nobody trained, and what a sentence calls them."""
FEW_IMAGES = 10_000
"""Up to so many training images public weights are tried before anything else."""


def verdict(scores: Sequence[AnyScore], recipe: Mapping[str, Any]) -> list[str]:
    """Sentences on what does better than the trained features by the same probe of the same images,
    and on what to try next; none where nothing does.

    recipe  of the run, as plain data

    >>> protocol = {"protocol": "knn", "data": "photos", "n_train": 240}
    >>> own = Score(top1=0.3, top5=None, per_class={}, n_test=60, protocol=protocol)
    >>> raw = own.model_copy(update={"features": "raw pixels", "top1": 0.4})
    >>> verdict([own, raw], {"epochs": 20})[0]
    'Raw pixels do better than the trained features: 40.0 % against 30.0 % (knn, 60 images).'
    """
    found: dict[str, list[str]] = {}
    images = 0
    for group in comparable([s for s in scores if isinstance(s, Score)]):
        by_kind = {s.features: s for s in group}
        own = by_kind.get("trained")
        for kind in RIVALS.keys() & by_kind.keys() if own else ():
            assert own is not None
            if by_kind[kind].top1 > own.top1:
                found.setdefault(kind, []).append(_against(by_kind[kind], own))
                images = max(images, int(str(own.protocol.get("n_train", 0))))
    if not found:
        return []
    lost = [
        f"{RIVALS[kind].capitalize()} do{'es' if kind == 'untrained' else ''} better than the "
        f"trained features: {'; '.join(found[kind])}."
        for kind in RIVALS
        if kind in found
    ]
    return [*lost, f"What to try next: {'; '.join(_ways_out(recipe, images))}."]


def headline(scores: Sequence[AnyScore], recipe: Mapping[str, Any]) -> str:
    """A sentence on how far the trained features are worth their training, and the next step; ""
    where ``verdict`` has something to say.

    >>> headline([], {})
    'Nothing was scored. Next: look at the map and the neighbours below.'
    """
    if verdict(scores, recipe):
        return ""
    classes = [s for s in scores if isinstance(s, Score)]
    groups = ({s.features: s for s in group} for group in comparable(classes))
    by_kind = next((group for group in groups if "trained" in group), None)
    if by_kind is None:
        return "Nothing was scored. Next: look at the map and the neighbours below."
    own = by_kind["trained"]
    rivals = [by_kind[kind] for kind in RIVALS if kind in by_kind]
    best = max(rivals, key=lambda s: s.top1, default=None)
    told = (
        f"The features are worth their training: {_against(own, best)}, by {RIVALS[best.features]}"
        if best is not None
        else f"The features name the class of {100 * own.top1:.1f} % of held-out images"
    )
    above = by_kind.get("supervised")
    if above is not None and above.top1 - own.top1 > 0.1:
        return f"{told}. Next: {_ways_out(recipe, int(str(own.protocol.get('n_train', 0))))[0]}."
    return f"{told}. Next: look at the classes that are confused, below."


def _against(rival: Score, own: Score) -> str:
    name = str(own.protocol.get("protocol", ""))
    return (
        f"{100 * rival.top1:.1f} % against {100 * own.top1:.1f} % ({name}, {own.n_test:,} images)"
    )


def _ways_out(recipe: Mapping[str, Any], images: int) -> list[str]:
    """What usually helps, the most likely first."""
    epochs = recipe.get("epochs")
    ways = [f"more epochs (epochs={4 * epochs})" if isinstance(epochs, int) else "more epochs"]
    data = recipe.get("data")
    modality = data.get("modality", "images") if isinstance(data, Mapping) else "images"
    if modality != "images":
        return ways
    weights = _public_weights(recipe.get("encoder"))
    if weights:
        place = 0 if images <= FEW_IMAGES else 1
        ways.insert(place, f"start from public weights ({weights})")
    return [
        *ways,
        "views that keep what matters (the report shows them: views.crop_scale=[0.5,1], "
        "views.grey_p=0)",
        "larger images (data.size, views.size)",
    ]


def _public_weights(encoder: Any) -> str:
    """The words that start an encoder from public weights; "" where it does already."""
    chosen = encoder if isinstance(encoder, Mapping) else {"name": encoder}
    row = ENCODERS.get(str(chosen.get("name")))
    if row is not None and row.pretrained:
        return "" if chosen.get("pretrained") else "encoder.pretrained=true"
    return "encoder=resnet18 encoder.pretrained=true"
