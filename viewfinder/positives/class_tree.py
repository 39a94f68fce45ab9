"""Class trees: one path from the root to each class, also out of a graph of is-a edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from viewfinder.core.counted import counted
from viewfinder.core.errors import UserError
from viewfinder.data.sidecars.read import first_five

Ambiguous = Literal["shortest", "drop", "refuse"]
Path = tuple[str, ...]


LEVELS = 100
"""Paths of a chain of N names take N^2 of memory, and no taxonomy is as deep."""


@dataclass(frozen=True)
class Graph:
    """Who is a kind of what: ``parents[node]`` in the order of the file; a root has none."""

    parents: Mapping[str, Sequence[str]]
    where: str = "the hierarchy"


@dataclass(frozen=True)
class Tree:
    """One path from the root to each class: ``paths[c]``, the class itself last.

    Two nodes are the same where their whole paths are. ``dropped`` are positions of classes that
    are better left out, having several ancestors at a level; they stand with one of their paths.
    """

    paths: Sequence[Path]
    dropped: Sequence[int] = ()
    notes: Sequence[str] = ()

    @property
    def depth(self) -> int:
        """The level of the deepest class; the root is level 1."""
        return max(len(path) for path in self.paths)


def check_depth(levels: int, where: str) -> None:
    """Raise UserError for a hierarchy of more than ``LEVELS`` levels."""
    if levels > LEVELS:
        raise UserError(
            f"{where} is {levels:,} levels deep; at most {LEVELS} are read",
            fix="the levels that tell classes apart; WordNet has 20",
        )


def tree_from_paths(
    paths: Mapping[str, Sequence[str]], classes: Sequence[str], where: str = "the hierarchy"
) -> Tree:
    """A tree from each class's path, root first, with or without the class itself at its end.

    Where the paths do not begin with one name, a root without a name is set above them (and said).
    Raises UserError naming classes without a path.
    """
    lost = [name for name in classes if not paths.get(name)]
    if lost:
        raise _without_path(lost, classes, where)
    check_depth(max((len(paths[name]) for name in classes), default=0), where)
    whole = [tuple(paths[name]) for name in classes]
    whole = [p if p[-1] == name else (*p, name) for p, name in zip(whole, classes, strict=True)]
    if len({path[0] for path in whole}) == 1:
        return Tree(whole)
    tops = sorted({path[0] for path in whole})
    note = f"{where} begins with {len(tops)} names ({first_five(tops)}): level 1 is a root above"
    return Tree([("", *path) for path in whole], notes=(note,))


def tree_from_graph(
    graph: Graph, classes: Sequence[str], *, ambiguous: Ambiguous = "shortest"
) -> Tree:
    """Reduce a graph of is-a edges to one path for each class.

    Only what lies above the classes counts. A class with several paths to the root is
    ``ambiguous``: "shortest" keeps its shortest path, each node of it the parent that comes first
    in the file among those nearest the root; "drop" lists the class in ``dropped`` if at some level
    it has two ancestors (the selection of CI-InfoNCE's ImageNet-100: classes with two or more
    different ancestors at one level are excluded), and a class that has one at most keeps them
    all, which is its longest path; "refuse" raises.

    Raises UserError for a cycle, for several roots, and for classes that are not in the graph.
    """
    lost = [name for name in classes if name not in graph.parents]
    if lost:
        raise _without_path(lost, classes, graph.where)
    order = _ancestors_first(graph, classes)
    roots = [node for node in order if not graph.parents[node]]
    if len(roots) > 1:
        raise UserError(
            f"{graph.where} has {len(roots)} roots above these classes ({first_five(roots)})",
            fix=f"one common root: a line for each, such as {roots[0]} being a kind of root",
        )
    depth: dict[str, int] = {}
    for node in order:
        depth[node] = 1 + max((depth[parent] for parent in graph.parents[node]), default=0)
    check_depth(max(depth.values(), default=0), graph.where)
    paths = _paths(graph, order, classes, min)
    forked: set[str] = set()
    for node in order:
        if len(graph.parents[node]) > 1 or not forked.isdisjoint(graph.parents[node]):
            forked.add(node)
    several = [name for name in classes if name in forked]
    if not several:
        return Tree(paths)
    told = f"{len(several)} classes have several paths to the root ({first_five(several)})"
    if ambiguous == "refuse":
        raise UserError(
            f"{graph.where} is no tree: {told}",
            fix="positives.ambiguous=shortest or positives.ambiguous=drop",
        )
    if ambiguous == "shortest":
        return Tree(paths, (), (f"{told}; the shortest is taken",))
    doubled = ambiguous_classes(graph, classes)
    left_out = tuple(c for c, name in enumerate(classes) if name in doubled)
    note = f"left out: {counted(len(left_out), 'class', 'classes')} with two ancestors at a level"
    return Tree(_paths(graph, order, classes, max), left_out, (f"{told}; {note}",))


def _paths(
    graph: Graph, order: Sequence[str], classes: Sequence[str], choose: Callable[..., Path]
) -> list[Path]:
    """The path of each class by the parents that ``choose`` (min or max) takes by their depth."""
    chosen: dict[str, Path] = {}
    for node in order:
        above = [chosen[parent] for parent in graph.parents[node]]
        chosen[node] = (*choose(above, key=len, default=()), node)
    return [chosen[name] for name in classes]


def ambiguous_classes(graph: Graph, classes: Sequence[str]) -> set[str]:
    """The classes with two or more different ancestors at some level, on any of their paths."""
    levels: dict[str, set[int]] = {}
    ancestors: dict[str, set[str]] = {}
    for node in _ancestors_first(graph, classes):
        above = graph.parents[node]
        levels[node] = {level + 1 for parent in above for level in levels[parent]} or {1}
        ancestors[node] = {*above, *(far for parent in above for far in ancestors[parent])}

    def doubled(name: str) -> bool:
        at = [level for ancestor in ancestors[name] for level in levels[ancestor]]
        return len(set(at)) < len(at)

    return {name for name in classes if doubled(name)}


def graph_from_edges(edges: Iterable[tuple[str, str]], where: str = "the hierarchy") -> Graph:
    """A graph from (parent, child) pairs; repeated pairs count once, an empty parent means none."""
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        above = parents.setdefault(child, [])
        if parent and parent not in above:
            parents.setdefault(parent, [])
            above.append(parent)
    return Graph(parents, where)


def _ancestors_first(graph: Graph, classes: Sequence[str]) -> list[str]:
    """The classes and all above them, every node after its parents; UserError for a cycle."""
    order: list[str] = []
    done: set[str] = set()
    for name in classes:
        trail: list[str] = []  # the path being walked, to tell a cycle from a second visit
        stack: list[tuple[str, bool]] = [(name, False)]
        while stack:
            node, finished = stack.pop()
            if finished:
                trail.pop()
                if node not in done:
                    done.add(node)
                    order.append(node)
            elif node in trail:
                cycle = [*trail[trail.index(node) :], node]
                raise UserError(
                    f"{graph.where} has a cycle: {' is a kind of '.join(cycle)}",
                    fix="remove one of these lines",
                )
            elif node not in done:
                trail.append(node)
                stack.append((node, True))
                stack += [(parent, False) for parent in reversed(graph.parents[node])]
    return order


def _without_path(lost: Sequence[str], classes: Sequence[str], where: str) -> UserError:
    return UserError(
        f"{len(lost)} of {len(classes)} classes are not in {where} ({first_five(lost)})",
        fix="one line for each class, spelled as the source spells it",
    )
