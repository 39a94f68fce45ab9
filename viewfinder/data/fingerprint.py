"""What a source holds, in a few facts by which a change of it is noticed and named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from viewfinder.data.source import Source, Split, sides_of

SAMPLE = 512
"""Data of a split that are looked at."""

_WORDS = {
    "kind": "they are",
    "shape": "their shape is",
    "content": "what they show differs",
    "labels": "their labels differ",
    "names": "the names of their files differ",
}


def content_key(split: Split) -> str:
    """Changes with the images: a digest of their number and of up to 512 of them, evenly spread."""
    n = len(split)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64))
    content = split.data.read(rows).contiguous().numpy().tobytes()
    sides = sides_of(split.data, rows)
    return f"{n} {_digest(content if sides is None else content + sides.numpy().tobytes())}"


def fingerprint(source: Source) -> dict[str, dict[str, Any]]:
    """For each split: number, kind and shape of the data, and digests of a sample of them, of all
    labels with the names of the classes, and of the files' names; plain JSON data.

    >>> from viewfinder.data.sources.table import open_source
    >>> fingerprint(open_source("digits"))["train"]["number"]
    1438
    """
    return {name: _facts(split) for name, split in source.splits.items()}


def differences(written: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, in words; empty where nothing does."""
    found: list[str] = []
    for split in dict.fromkeys([*written, *now]):
        before, after = written.get(split), now.get(split)
        if not isinstance(before, Mapping) or after is None:
            found.append(f"{split} is {'new' if after is not None else 'gone'}")
            continue
        if before.get("number") != after["number"]:
            found.append(f"{split} had {before.get('number')} data and has {after['number']}")
            continue
        for key, words in _WORDS.items():
            old, new = before.get(key), after[key]
            if old != new:
                told = f"{words} {new}, and was {old}" if key in ("kind", "shape") else words
                found.append(f"{split}: {told}")
    return found


def _facts(split: Split) -> dict[str, Any]:
    labels, names = split.labels, split.paths
    classes = "\n".join(map(str, split.class_names or ())).encode("utf-8", "replace")
    return {
        "number": len(split),
        "kind": split.data.modality,
        "shape": list(split.data.shape),
        "content": content_key(split),
        "labels": None if labels is None else _digest(labels.astype(np.int64).tobytes() + classes),
        "names": None if names is None else _digest("\n".join(names).encode("utf-8", "replace")),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
