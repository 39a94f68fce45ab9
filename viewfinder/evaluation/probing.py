"""Frozen features of one kind (an encoder's, or raw pixels) and what probes read from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor, nn

from viewfinder.data.fingerprint import content_key
from viewfinder.data.source import Source, Split
from viewfinder.evaluation.pixels import LARGEST, raw_pixels, words_of
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.scores import AnyScore
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.evaluation.probes.targets import Classes, find_target
from viewfinder.networks.frozen_features import cached_features, extract, fingerprint
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.own_data import CHANGED
from viewfinder.runs.run import new_encoders, one_encoder, pick_device

LAYER = "backbone, after pooling"


def check_protocols(protocols: Sequence[str]) -> None:
    """Raise UserError for the first protocol that is not known, with the nearest."""
    for protocol in protocols:
        PROBES.find(protocol)


def untrained(recipe: Recipe) -> nn.Module:
    """The encoder of a complete recipe as it was before training."""
    return one_encoder(new_encoders(recipe))


def probe(
    kind: str,
    encoder: nn.Module | None,
    recipe: Recipe,
    source: Source,
    protocols: Sequence[str],
    *,
    targets: Sequence[str | None] = (None,),
    cache: Path | None = None,
    largest: int = LARGEST,
    facts: Mapping[str, JsonValue] | None = None,
) -> list[AnyScore]:
    """Scores of one kind of features on one source; every split is encoded once for all of them.

    kind       words for whose features they are; without an ``encoder`` they are the raw pixels
    recipe     complete; says how the encoder sees images, the seed, and the settings of kNN
    protocols  of ``PROBES``, each for every target of classes; a quantity has ridge regression
    targets    None for the labels, or the name of a factor, see ``find_target``
    cache      folder that keeps the features; a change of weights, images or view renews them
    largest    values of raw pixels at most, see ``raw_pixels``
    facts      what else the protocol of each score shall say

    Raises UserError for an unknown protocol and for targets that cannot be measured, before
    anything is encoded.
    """
    check_protocols(protocols)
    wanted = [find_target(source, word) for word in targets]
    test = source.test
    assert test is not None  # find_target has looked
    x, test_x = (
        raw_pixels(split.data, largest=largest, size=recipe.views.size)
        if encoder is None
        else _encoded(kind, encoder, recipe, source, split, cache)
        for split in (source.train, test)
    )
    layer = (
        LAYER if encoder is not None else words_of(source.train.data, largest, recipe.views.size)
    )
    found: list[AnyScore] = []
    for word, target in zip(targets, wanted, strict=True):
        known: Any = {
            "data": source.spec if word is None else f"{source.spec}#{word}",
            "layer": layer,
            "features": kind,
            "split": _split_words(recipe, source),
            "seed": recipe.seed,
        }
        if not isinstance(target, Classes):
            found.append(regress_features(x, test_x, target, **known))
            continue
        known["class_names"] = target.names
        parts = (*_labelled(x, target.train, word), *_labelled(test_x, target.test, word))
        settings = {
            "k": min(recipe.evaluation.k, len(x)),
            "temperature": recipe.evaluation.temperature,
        }
        for one in protocols:
            taken = PROBES[one].options.model_fields
            own = {key: value for key, value in settings.items() if key in taken}
            found.append(evaluate_features(*parts, one, options=own, **known))
    more = {**({} if encoder is None else {"precision": recipe.precision}), **(facts or {})}
    return [s.model_copy(update={"protocol": {**s.protocol, **more}}) for s in found]


def _labelled(x: Tensor, y: np.ndarray, word: str | None) -> tuple[Tensor, np.ndarray]:
    """The rows that have a label; every number of a factor is one."""
    known = y >= 0
    return (x, y) if word is not None or known.all() else (x[torch.from_numpy(known)], y[known])


def _split_words(recipe: Recipe, source: Source) -> str:
    limit = f", limited to {recipe.data.limit} each" if recipe.data.limit else ""
    column = "" if recipe.data.label_column == "label" else f" ({recipe.data.label_column})"
    limit += f", labels of {recipe.data.labels}{column}" if recipe.data.labels else ""
    limit += f", without those in {recipe.data.exclude}" if recipe.data.exclude else ""
    held = [note for note in source.notes if "held out" in note or CHANGED in note]
    size = "" if recipe.views.size is None else f", views of {recipe.views.size} px"
    size += f" of images at {recipe.data.size} px" if recipe.data.size else ""
    return f"train -> test{limit}{size}" + (f" ({'; '.join(held)})" if held else "")


def _encoded(
    kind: str, encoder: nn.Module, recipe: Recipe, source: Source, split: Split, cache: Path | None
) -> Tensor:
    """Features (N, D) of a split, computed once and kept where there is a ``cache``."""
    compute = partial(
        extract,
        encoder,
        split.data,
        recipe.view_maker().frozen,
        device=pick_device(recipe.accelerator),
        precision=recipe.precision,
    )
    if cache is None:
        return compute()
    facts = (split.name, content_key(split), recipe.view_maker().describe_frozen())
    file = cache / f"{kind}-{file_words(source.spec)}-{split.name}.safetensors"
    return cached_features(file, fingerprint(encoder, *facts, recipe.precision), compute)


def file_words(spec: str) -> str:
    """A spec as part of a file name: its last word, and a digest where that is not all of it."""
    words = re.sub(r"[^\w.-]+", "-", spec.replace("\\", "/").rstrip("/").rpartition("/")[2])
    if words == spec:
        return words
    return f"{words[-40:]}-{hashlib.sha256(spec.encode('utf-8', 'replace')).hexdigest()[:8]}"
