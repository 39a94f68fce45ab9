"""Positives: images whose classes have the same ancestor at a level of a class tree."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count
from viewfinder.core.table import Options
from viewfinder.data.source import Split
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.class_tree import Ambiguous, Path, Tree
from viewfinder.positives.class_tree_file import read_tree, tree_from_names
from viewfinder.positives.contract import Given, Positives
from viewfinder.positives.needs import all_labels, names_of_classes


class HierarchyOptions(Options):
    level: Count = Field(2, description="level of the common ancestor; the root is level 1")
    file: str | None = Field(
        None, description="CSV of class,path or child,parent, or WordNet's is-a file"
    )
    ambiguous: Ambiguous = Field(
        "shortest", description="classes with several ancestors: shortest, drop, refuse"
    )


def hierarchy(tree: Tree, labels: np.ndarray, *, level: int) -> Assignment:
    """Clusters of data whose classes share their ancestor at ``level``; the root is level 1.

    labels int64 (N,) are positions in the tree's classes. A class above that level is its own
    cluster (CI-InfoNCE, section 3.1 and its code). Clusters are numbered in the order of the first
    class that is in them. Data of dropped classes are marked in ``keep``.

    Raises UserError for a level that is less than 1 or deeper than the tree.

    >>> tree = Tree([("all", "animal", "cat"), ("all", "animal", "dog"), ("all", "thing", "car")])
    >>> hierarchy(tree, np.array([2, 0, 1]), level=2).z
    array([1, 0, 0])
    """
    if not 1 <= level <= tree.depth:
        raise UserError(
            f"level is {level}, but the tree of these classes has the levels 1 (the root) to "
            f"{tree.depth}",
            fix=f"positives.level={min(max(level, 2), tree.depth)}",
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(tree.paths):
        raise ValueError(f"labels {labels.min()}..{labels.max()} for {len(tree.paths)} classes")
    number: dict[Path, int] = {}
    of_class = np.array([number.setdefault(path[:level], len(number)) for path in tree.paths])
    keep = ~np.isin(labels, np.asarray(tree.dropped)) if tree.dropped else None
    return Assignment(dense(of_class[labels]), keep=keep, notes=tuple(tree.notes))


def tree_of(split: Split, file: str | None = None, ambiguous: Ambiguous = "shortest") -> Tree:
    """The class tree of a labelled split: from a file, else what its data or class names say of it.

    Classes are the split's class names, or their numbers as text. Without a file, a factor
    ``class_path`` int64 (N, levels) of node numbers serves (-1 below a shallow class), or class
    names that are paths ("Greek/alpha").
    """
    names = names_of_classes(split)
    if file is not None:
        return read_tree(file, names, ambiguous=ambiguous)
    if "class_path" in split.factors:
        assert split.labels is not None
        present, first = np.unique(split.labels, return_index=True)
        nodes = split.factors["class_path"][first].tolist()
        steps = dict(zip(present.tolist(), nodes, strict=True))
        return Tree(
            [tuple(str(node) for node in steps.get(c, [c]) if node >= 0) for c in range(len(names))]
        )
    spelled = tree_from_names(names)
    assert spelled is not None, "the row needs classes of which the data tell a tree"
    return spelled


def _build(options: HierarchyOptions, given: Given) -> Assignment:
    tree = tree_of(given.split, options.file, options.ambiguous)
    return hierarchy(tree, all_labels(given.split, "a class tree"), level=options.level)


HIERARCHY = Positives(
    name="hierarchy",
    summary="images whose classes have a common ancestor at a level of a tree",
    paper="CI-InfoNCE, Tsai et al. 2021, section 3.1",
    options=HierarchyOptions,
    build=_build,
    needs=("labels", "classes"),
    bare="file",
    paths=("file",),
)
