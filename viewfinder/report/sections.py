"""The sections of the page as plain dicts for the template: numbers become words here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from viewfinder.report.content import Embedded, Gallery, Measurement, ReportContent

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
    "images_per_second": ("Speed", "Training images a second.", True),
}
"""Title, meaning, and whether the axis starts at 0, by column; other columns go by their name."""

HIDDEN = ("epoch", "step", "seconds")


def percent(value: float | None) -> str:
    """A fraction as the page shows it."""
    return "–" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def score_groups(content: ReportContent) -> list[dict[str, Any]]:
    """Bars by probe and data: the trained features beside what they are compared with.

    Those on other data than the first, the run's own, are marked as ``transfer``.
    """
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for score in content.scores:
        groups.setdefault((score.probe, score.data), []).append(score)
    several = len({score.data for score in content.scores}) > 1
    first = content.scores[0].data if content.scores else ""
    return [
        {
            "title": PROBES.get(probe, probe) or "Measurement",
            "data": data if several else "",
            "transfer": data != first,
            "chance": _chance(scores, content),
            "bars": [
                {
                    "features": s.features,
                    "meaning": FEATURES.get(s.features, ""),
                    "value": s.top1 if s.r2 is None else max(0.0, s.r2),
                    "text": percent(s.top1) if s.r2 is None else f"{s.r2:.3f}",
                    "own": s.features == "trained",
                }
                for s in sorted(scores, key=lambda s: s.features != "trained")
            ],
        }
        for (probe, data), scores in groups.items()
    ]


def _chance(scores: Sequence[Measurement], content: ReportContent) -> float | None:
    if any(s.r2 is not None for s in scores):
        return None
    classes = max(len(s.per_class) for s in scores)
    if not classes and content.embedded and content.embedded.labels is not None:
        classes = len(content.embedded.class_names)
    return 1 / classes if classes > 1 else None


def score_rows(scores: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Rows of the table of scores, each with its protocol."""
    return [
        {
            "features": s.features,
            "meaning": FEATURES.get(s.features, ""),
            "probe": PROBES.get(s.probe, s.probe),
            "data": s.data,
            "top1": percent(s.top1) if s.r2 is None else f"R² {s.r2:.3f}",
            "top5": percent(s.top5) if s.r2 is None else f"± {s.error}",
            "own": s.features == "trained",
            "protocol": list(_flat(s.protocol)),
            "per_class": [(name, value, percent(value)) for name, value in s.per_class.items()],
        }
        for s in scores
    ]


def _flat(protocol: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in protocol.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def curves(history: Mapping[str, Sequence[float | None]]) -> list[dict[str, Any]]:
    """One plot a column; what is not finite is left out of the line and said."""
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
    """A bar a prototype, the most used first, and what they amount to in words."""
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
        notes.append(f"{who}: {w}×{h} px, {c} channel{'s' if c > 1 else ''}.")
    if any((h, w) != (height, width) for _, h, w in shapes):
        notes.append(f"Here they are fitted to {width}×{height} px.")
    if any(c not in (1, 3) for c, _, _ in shapes):
        notes.append(
            "Images of other than 1 or 3 channels are shown as the mean of their channels."
        )
    return notes


def agreement(embedded: Embedded, near: np.ndarray) -> tuple[float, float] | None:
    """The mean share of neighbours with the image's own label, and what chance would give."""
    if embedded.labels is None or not near.size:
        return None
    known = embedded.labels >= 0
    if known.sum() < 2:
        return None
    same = embedded.labels[near] == embedded.labels[:, None]
    counts = np.unique(embedded.labels[known], return_counts=True)[1].astype(float)
    chance = float((counts * (counts - 1)).sum() / (known.sum() * (len(embedded) - 1)))
    return float(same[known].mean()), chance


def queries(embedded: Embedded, most: int = 12) -> list[int]:
    """Images whose neighbours are shown: the first of each class, or at equal steps."""
    if embedded.labels is not None and (embedded.labels >= 0).any():
        classes, first = np.unique(embedded.labels, return_index=True)
        candidates = first[classes >= 0]
    else:
        candidates = np.arange(len(embedded))
    steps = np.linspace(0, len(candidates) - 1, min(most, len(candidates))).astype(int)
    return candidates[steps].tolist()
