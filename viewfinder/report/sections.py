"""The sections of the page as plain dicts for the template: numbers become words here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from viewfinder.core.counted import counted
from viewfinder.evaluation.probes.scores import (
    AnyScore,
    RegressionScore,
    Score,
    comparable,
    flat,
    what_sets_apart,
)
from viewfinder.report.content import Embedded, Gallery, ReportContent

FEATURES = {
    "trained": "the encoder of this run, frozen",
    "untrained": "the same encoder with random weights",
    "supervised": "the same encoder trained with the labels",
    "raw pixels": "the pixels themselves, no encoder",
    "raw values": "the data themselves, no encoder",
}

PROBES = {"linear": "Linear probe", "knn": "kNN", "ridge": "R² of ridge regression"}

CURVES = {
    "loss": ("Loss", "The training objective, mean over the epoch.", False),
    "feature_std": (
        "Spread of features",
        "Of their directions: 1 is evenly over the sphere, 0 is collapsed.",
        True,
    ),
    "rankme": (
        "Effective rank",
        "RankMe: how many directions the features use; 1 is collapsed.",
        True,
    ),
    "objective": ("Objective", "The main loss, without what is added to it.", False),
    "rc": ("RC", "Error of the reconstruction of the views, added over the views.", False),
    "lbe": ("LBE", "How far apart the features are: the estimate of I(z, v), maximised.", False),
    "ip": ("IP", "Squared distance of the two views' features.", True),
    "mib": ("MIB", "Squared distance of the means of the two views' features.", True),
    "consistency": ("Consistency", "How far two views are from the same prototype.", True),
    "kl": ("Divergence from equal usage", "0: all prototypes alike; log K: one only.", True),
    "weight": ("Weight of the divergence", "CARL's lambda.", True),
    "learning_rate": ("Learning rate", "At the end of each epoch.", True),
    "images_per_second": ("Speed", "Training images per second.", True),
}
"""Title, meaning, and whether the axis starts at 0, by column; other columns go by their name."""

HIDDEN = ("epoch", "step", "seconds")


def percent(value: float | None) -> str:
    """A fraction as the page shows it."""
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def score_groups(content: ReportContent) -> list[dict[str, Any]]:
    """Bars of scores that may be compared: the trained features beside their baselines.

    Those of other images than the first, the run's own, are marked as ``transfer``.
    """
    groups = comparable(content.scores)
    images = [_images(group[0]) for group in groups]
    return [
        {
            "title": _probe(group[0]),
            "facts": ", ".join(_apart(group[0], [other[0] for other in groups])),
            "transfer": images[i] != images[0],
            "classes": _classes(group, content),
            "bars": [_bar(s) for s in sorted(group, key=lambda s: s.features != "trained")],
        }
        for i, group in enumerate(groups)
    ]


def _images(score: AnyScore) -> tuple[str, str, Any]:
    """What was measured on: the data and which of them."""
    protocol = score.protocol
    return str(protocol.get("data", "")), str(protocol.get("split", "")), protocol.get("n_train")


def _apart(score: AnyScore, others: Sequence[AnyScore]) -> Iterator[str]:
    """The facts, in words, in which a group differs from others of the page."""
    if len({other.protocol.get("data") for other in others}) > 1:
        yield f"on {score.protocol.get('data', '')}"
    yield from what_sets_apart(score, others)


def _bar(score: AnyScore) -> dict[str, Any]:
    if isinstance(score, RegressionScore):
        value, text = max(0.0, score.r2), f"{score.r2:.3f}"
    else:
        value, text = score.top1, percent(score.top1)
    return {
        "features": score.features,
        "meaning": meaning(score),
        "budget": budget(score) if score.features == "supervised" else "",
        "value": value,
        "text": text,
        "own": score.features == "trained",
    }


def meaning(score: AnyScore) -> str:
    """Whose features these are, in words, and how long they were trained."""
    return ", ".join(w for w in (FEATURES.get(score.features, ""), budget(score)) if w)


def budget(score: AnyScore) -> str:
    """How long an encoder was trained: "20 epochs"; "" where that is not known."""
    epochs = score.protocol.get("epochs")
    return counted(epochs, "epoch") if isinstance(epochs, int) else ""


def _probe(score: AnyScore) -> str:
    name = str(score.protocol.get("protocol", ""))
    return PROBES.get(name, name) or "Measurement"


def _classes(scores: Sequence[AnyScore], content: ReportContent) -> int | None:
    """Among how many classes the probe chooses; None where that is not known."""
    named = [len(s.per_class) for s in scores if isinstance(s, Score)]
    if not named:
        return None
    classes = max(named)
    if not classes and content.embedded and content.embedded.labels is not None:
        classes = len(content.embedded.class_names)
    return classes if classes > 1 else None


def score_rows(scores: Sequence[AnyScore]) -> list[dict[str, Any]]:
    """Rows of the table of scores, each with its protocol."""
    return [
        {
            "features": s.features,
            "meaning": meaning(s),
            "probe": _probe(s),
            "data": str(s.protocol.get("data", "")),
            "own": s.features == "trained",
            "protocol": [*flat({**s.protocol, "n_test": s.n_test})],
            **_numbers(s),
        }
        for s in scores
    ]


def score_headings(scores: Sequence[AnyScore]) -> list[str]:
    """The headings of the numbers of ``score_rows``; none for a second that no score has.

    >>> score_headings([Score(top1=0.5, top5=None, per_class={}, n_test=9, protocol={})])
    ['Top-1']
    """
    classes = [s for s in scores if isinstance(s, Score)]
    regressed = len(classes) < len(scores)
    first = ["Top-1"] * bool(classes) + ["R²"] * regressed
    second = ["Top-5"] * any(s.top5 is not None for s in classes) + ["error"] * regressed
    return [" or ".join(words) for words in (first, second) if words]


def _numbers(score: AnyScore) -> dict[str, Any]:
    """What was measured, in words."""
    if isinstance(score, RegressionScore):
        error = f"± {score.error:.3g} {score.unit}".strip()
        return {"top1": f"R² {score.r2:.3f}", "top5": error, "per_class": []}
    classes = [(name, value, percent(value)) for name, value in score.per_class.items()]
    return {"top1": percent(score.top1), "top5": percent(score.top5), "per_class": classes}


def curves(history: Mapping[str, Sequence[float | None]]) -> list[dict[str, Any]]:
    """One plot per column; what is not finite is left out of the line and said."""
    rows = max((len(column) for column in history.values()), default=0)
    epochs = history.get("epoch") or list(range(1, rows + 1))
    known = [name for name in CURVES if name in history]
    others = [name for name in history if name not in CURVES and name not in HIDDEN]
    found = []
    for name in known + others:
        column = history[name]
        broken = [e for e, v in zip(epochs, column, strict=False) if v and not math.isfinite(v)]
        y = [v if v is not None and math.isfinite(v) else None for v in column]
        if not broken and all(v is None for v in y):
            continue
        title, meaning, from_zero = CURVES.get(name, (name, "", False))
        found.append(
            {
                "title": title,
                "meaning": meaning,
                "from_zero": from_zero,
                "x": list(epochs),
                "y": y,
                "last": next((f"{v:.4g}" for v in reversed(y) if v is not None), "–"),
                "broken": "Not a finite number in epoch " + ", ".join(f"{e:g}" for e in broken)
                if broken
                else "",
            }
        )
    return found


def usage(shares: Sequence[float]) -> dict[str, Any] | None:
    """A bar per prototype, the most used first, and what they amount to in words."""
    total = sum(shares)
    if total <= 0:
        return None
    p = sorted((share / total for share in shares), reverse=True)
    effective = math.exp(-sum(x * math.log(x) for x in p if x > 0))
    return {
        "bars": [100 * x / p[0] for x in p],
        "even": 100 / len(p) / p[0],
        "words": f"{len(p)} prototypes, used like {effective:.1f} equal ones; the most used won "
        f"{percent(p[0])} of the samples, {p.count(0)} won none.",
    }


def gallery_notes(gallery: Gallery) -> list[str]:
    """Sentences on what the columns of the gallery are and what was done to show them."""
    columns, height, width, channels = gallery.images.shape[1:]
    shapes = list(gallery.shapes) or [(channels, height, width)] * columns
    by_shape: dict[tuple[int, int, int], list[str]] = {}
    for name, shape in zip(gallery.names, shapes, strict=True):
        by_shape.setdefault(shape, []).append(name)
    notes = []
    for (c, h, w), which in by_shape.items():
        who = "All" if len(by_shape) == 1 else ", ".join(which).capitalize()
        notes.append(f"{who}: {w}×{h} px, {counted(c, 'channel')}.")
    if any((h, w) != (height, width) for _, h, w in shapes):
        notes.append(f"Here they are fitted to {width}×{height} px.")
    if any(c not in (1, 3) for c, _, _ in shapes):
        notes.append(
            "Images of other than 1 or 3 channels are shown as the mean of their channels."
        )
    return notes


def agreement(embedded: Embedded, near: np.ndarray) -> tuple[float, float] | None:
    """The mean share of neighbours with the image's own label, and that of all other images."""
    if embedded.labels is None or not near.size:
        return None
    known = embedded.labels >= 0
    if known.sum() < 2:
        return None
    same = embedded.labels[near] == embedded.labels[:, None]
    counts = np.unique(embedded.labels[known], return_counts=True)[1].astype(float)
    of_all = float((counts * (counts - 1)).sum() / (known.sum() * (len(embedded) - 1)))
    return float(same[known].mean()), of_all


def queries(embedded: Embedded, most: int = 12) -> list[int]:
    """Images whose neighbours are shown: the first of each class, or at equal steps."""
    if embedded.labels is not None and (embedded.labels >= 0).any():
        classes, first = np.unique(embedded.labels, return_index=True)
        candidates = first[classes >= 0]
    else:
        candidates = np.arange(len(embedded))
    steps = np.linspace(0, len(candidates) - 1, min(most, len(candidates))).astype(int)
    return candidates[steps].tolist()
