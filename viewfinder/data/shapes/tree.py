"""The sixteen shape classes of ``shapes`` and the tree above them.

A balanced binary tree of five levels, so that a level of depth l has 2^l nodes and, with balanced
classes, l bits about the class:

    shape ─┬─ curved ───┬─ blob ─────┬─ oval ────────── circle, ellipse
           │            │            └─ cut round ───── half disc, drop
           │            └─ hollowed ─┬─ hole or bay ─── ring, crescent
           │                         └─ lobed ───────── heart, clover
           └─ straight ─┬─ convex ───┬─ right-angled ── square, rectangle
                        │            └─ tapered ─────── triangle, kite
                        └─ notched ──┬─ pointed ─────── star, arrow
                                     └─ barred ──────── plus, tee
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

_TREE: Mapping[str, object] = {
    "shape": {
        "curved": {
            "blob": {"oval": ("circle", "ellipse"), "cut round": ("half disc", "drop")},
            "hollowed": {"hole or bay": ("ring", "crescent"), "lobed": ("heart", "clover")},
        },
        "straight": {
            "convex": {"right-angled": ("square", "rectangle"), "tapered": ("triangle", "kite")},
            "notched": {"pointed": ("star", "arrow"), "barred": ("plus", "tee")},
        },
    }
}


def _paths(tree: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(tree, Mapping):
        for name, below in tree.items():
            yield from _paths(below, (*above, name))
    elif isinstance(tree, tuple):
        for name in tree:
            yield (*above, name)


CLASS_PATHS: tuple[tuple[str, ...], ...] = tuple(_paths(_TREE))
"""For each class, the names from the root to the class itself; position = label."""

CLASS_NAMES: tuple[str, ...] = tuple(path[-1] for path in CLASS_PATHS)
"""The classes in the order of their labels."""

NODE_NAMES: tuple[str, ...] = tuple(
    dict.fromkeys(path[level] for level in range(len(CLASS_PATHS[0])) for path in CLASS_PATHS)
)
"""Every node of the tree, level by level, the root first."""

NODE_PARENTS: Mapping[str, str | None] = {
    name: path[level - 1] if level else None
    for path in CLASS_PATHS
    for level, name in enumerate(path)
}
"""The node above each node; None above the root."""

CLASS_PATH_IDS: np.ndarray = np.array(
    [[NODE_NAMES.index(name) for name in path] for path in CLASS_PATHS], dtype=np.int64
)
"""CLASS_PATHS as positions in NODE_NAMES, int64 (classes, levels)."""
