"""Frozen features of one kind (an encoder's, or raw pixels) and what probes read from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from viewfinder.core.errors import unknown
from viewfinder.data.source import Source, Split
from viewfinder.evaluation.pixels import LARGEST, pixel_size, raw_pixels
from viewfinder.evaluation.probes.classification import PROTOCOLS, evaluate_features
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.targets import Classes, find_target
from viewfinder.networks.frozen_features import cached_features, extract, fingerprint
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.results import AnyScore
from viewfinder.runs.run import initial_weights, new_encoder, pick_device

LAYER = "backbone, after pooling"


def check_protocols(protocols: Sequence[str]) -> None:
    """Raise UserError for the first protocol that is not known, with the nearest."""
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)


def untrained(recipe: Recipe) -> nn.Module:
    """The encoder of a complete recipe as it was before training."""
    with initial_weights(recipe.seed):
        return new_encoder(recipe)[0]


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
) -> list[AnyScore]:
    """Scores of one kind of features on one source; every split is encoded once for all of them.

    kind       words for whose features they are; without an ``encoder`` they are the raw pixels
    recipe     complete; says how the encoder sees images, the seed, and the settings of kNN
    protocols  of ``PROTOCOLS``, each for every target of classes; a quantity has ridge regression
    targets    None for the labels, or the name of a factor, see ``find_target``
    cache      folder that keeps the features; a change of weights, images or view renews them
    largest    values of raw pixels at most, see ``raw_pixels``

    Raises UserError for an unknown protocol and for targets that cannot be measured, before
    anything is encoded.
    """
    check_protocols(protocols)
    wanted = [find_target(source, word) for word in targets]
    test = source.test
    assert test is not None  # find_target has looked
    x, test_x = (
        raw_pixels(split.images, largest=largest)
        if encoder is None
        else _encoded(kind, encoder, recipe, source, split, cache)
        for split in (source.train, test)
    )
    layer = LAYER
    if encoder is None:
        layer = "pixels {}x{}x{}".format(*pixel_size(source.train.images.shape, largest))
    found: list[AnyScore] = []
    for word, target in zip(targets, wanted, strict=True):
        facts: Any = {
            "data": source.spec if word is None else f"{source.spec}#{word}",
            "layer": layer,
            "features": kind,
            "split": _split_words(recipe, source),
            "seed": recipe.seed,
        }
        if not isinstance(target, Classes):
            found.append(regress_features(x, test_x, target, **facts))
            continue
        facts |= {
            "class_names": target.names,
            "k": min(recipe.evaluation.k, len(x)),
            "temperature": recipe.evaluation.temperature,
        }
        y, test_y = target.train, target.test
        found += [evaluate_features(x, y, test_x, test_y, one, **facts) for one in protocols]
    return found


def _split_words(recipe: Recipe, source: Source) -> str:
    limit = f", limited to {recipe.data.limit} each" if recipe.data.limit else ""
    held = [note for note in source.notes if "held out" in note]
    size = f", views of {recipe.views.size} px" + (
        f" of images at {recipe.data.size} px" if recipe.data.size else ""
    )
    return f"train -> test{limit}{size}" + (f" ({held[0]})" if held else "")


def _encoded(
    kind: str, encoder: nn.Module, recipe: Recipe, source: Source, split: Split, cache: Path | None
) -> Tensor:
    """Features (N, D) of a split, computed once and kept where there is a ``cache``."""
    compute = partial(
        extract,
        encoder,
        split.images,
        recipe.view_maker().frozen,
        device=pick_device(recipe.accelerator),
        precision=recipe.precision,
    )
    if cache is None:
        return compute()
    facts = (split.name, content_key(split), recipe.view_maker().describe_frozen())
    file = cache / f"{kind}-{_file_words(source.spec)}-{split.name}.safetensors"
    return cached_features(file, fingerprint(encoder, *facts, recipe.precision), compute)


def content_key(split: Split) -> str:
    """Changes with the images: a digest of their number and of up to 512 of them, evenly spread."""
    n = len(split)
    sample = split.images.read(np.unique(np.linspace(0, n - 1, min(n, 512)).astype(np.int64)))
    return f"{n} {hashlib.sha256(sample.contiguous().numpy().tobytes()).hexdigest()}"


def _file_words(spec: str) -> str:
    """A spec as part of a file name: its last word, and a digest where that is not all of it."""
    words = re.sub(r"[^\w.-]+", "-", spec.replace("\\", "/").rstrip("/").rpartition("/")[2])
    if words == spec:
        return words
    return f"{words[-40:]}-{hashlib.sha256(spec.encode('utf-8', 'replace')).hexdigest()[:8]}"
