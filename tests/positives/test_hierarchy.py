from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.information.discrete import information
from viewfinder.positives.class_tree import (
    Graph,
    ambiguous_classes,
    graph_from_edges,
    tree_from_graph,
    tree_from_paths,
)
from viewfinder.positives.class_tree_file import read_tree, tree_from_names
from viewfinder.positives.hierarchy import hierarchy

DATA = os.environ.get("VIEWFINDER_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="VIEWFINDER_DATA is not set")

CLASSES = ["tabby", "collie", "poodle", "car", "animal"]
EDGES = [
    ("thing", "animal"),
    ("thing", "car"),
    ("animal", "cat"),
    ("animal", "dog"),
    ("cat", "tabby"),
    ("dog", "collie"),
    ("dog", "poodle"),
]


def at(tree_level: int, tree: object = None) -> list[int]:
    tree = tree or tree_from_graph(graph_from_edges(EDGES), CLASSES)
    return hierarchy(tree, np.arange(len(CLASSES)), level=tree_level).z.tolist()  # type: ignore[arg-type]


def test_levels_count_from_the_root_and_shallow_classes_stand_alone() -> None:
    assert at(1) == [0, 0, 0, 0, 0]
    assert at(2) == [0, 0, 0, 1, 0]
    assert at(3) == [0, 1, 1, 2, 3]
    assert at(4) == [0, 1, 2, 3, 4]
    for level in (0, 5):
        with pytest.raises(UserError, match=r"level is \d.*levels 1 \(the root\) to 4"):
            at(level)


def test_levels_are_nested_and_know_nothing_beside_the_labels() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 200)
    tree = tree_from_graph(graph_from_edges(EDGES), CLASSES)
    found = [hierarchy(tree, labels, level=level).z for level in range(1, 5)]
    gains = [information(z, labels) for z in found]
    assert all(i.h_z_given_t == 0 for i in gains)
    assert [i.i for i in gains] == sorted(i.i for i in gains)
    assert gains[-1].h_t_given_z == 0


def test_the_three_text_forms_agree(tmp_path: Path) -> None:
    forms = {
        "paths.csv": "class,path\ntabby,thing/animal/cat\ncollie,thing > animal > dog\n"
        "poodle,thing/animal/dog/poodle\ncar,thing\nanimal,thing/animal\n",
        "edges.csv": "child,parent\nthing,\n" + "".join(f"{c},{p}\n" for p, c in EDGES),
        "wordnet.is_a.txt": "".join(f"{p} {c}\n" for p, c in EDGES),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        tree = read_tree(tmp_path / name, CLASSES)
        for level in range(1, 5):
            assert at(level, tree) == at(level), name


def test_paths_without_a_common_beginning_get_a_root() -> None:
    tree = tree_from_paths({"cat": ["animal"], "car": ["thing"]}, ["cat", "car"])
    assert tree.depth == 3
    assert "2 names" in tree.notes[0]
    # the same name in two places is two nodes
    twice = tree_from_paths({"a": ["x", "bag"], "b": ["y", "bag"]}, ["a", "b"])
    assert hierarchy(twice, np.array([0, 1]), level=3).count == 2


DIAMOND = [("r", "a"), ("r", "b"), ("a", "c"), ("b", "c"), ("b", "m"), ("m", "d"), ("b", "d")]


def test_a_graph_that_is_no_tree() -> None:
    graph = graph_from_edges(DIAMOND)
    # c has a and b at level 2; d has only b at level 2 and m at level 3, on paths of two lengths
    assert ambiguous_classes(graph, ["c", "d", "m"]) == {"c"}
    shortest = tree_from_graph(graph, ["c", "d", "m"])
    assert shortest.paths == [("r", "a", "c"), ("r", "b", "d"), ("r", "b", "m")]
    assert "2 classes have several paths" in shortest.notes[0]
    dropped = tree_from_graph(graph, ["c", "d", "m"], ambiguous="drop")
    assert dropped.dropped == (0,)
    clusters = hierarchy(dropped, np.array([0, 1, 2, 0]), level=2)
    assert clusters.keep is not None
    assert clusters.keep.tolist() == [False, True, True, False]
    with pytest.raises(UserError, match="no tree"):
        tree_from_graph(graph, ["c", "d", "m"], ambiguous="refuse")
    assert not tree_from_graph(graph, ["m"], ambiguous="refuse").notes


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("a", "b"), ("b", "a"), ("b", "c")], "cycle: .*a is a kind of b is a kind of a|cycle: b"),
        ([("a", "a"), ("a", "c")], "cycle"),
        ([("a", "c"), ("b", "c")], r"2 roots above these classes \(a, b\)"),
        ([("a", "b")], r"1 of 1 classes are not in the hierarchy \(c\)"),
    ],
)
def test_broken_graphs(edges: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tree_from_graph(graph_from_edges(edges), ["c"])


def test_what_does_not_lie_above_the_classes_does_not_matter() -> None:
    edges = [*EDGES, ("x", "y"), ("y", "x"), ("lonely", "island")]
    assert tree_from_graph(graph_from_edges(edges), CLASSES).depth == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("name,colour\na,b\n", "begins with"),
        ("class,path\na\n", "lines 2"),
        ("class,path\ncat,animal\n", r"4 of 5 classes|5 of 5 classes"),
        ("a b\na b c\n", "line 2"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "hierarchy.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_tree(file, CLASSES)
    with pytest.raises(UserError, match="no file"):
        read_tree(tmp_path / "missing.csv", CLASSES)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"text"])
def test_a_broken_npz_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "tree.npz"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"tree\.npz has no readable class tree"):
        read_tree(file, CLASSES)
    with pytest.raises(UserError, match="no file"):
        read_tree(tmp_path / "missing.npz", CLASSES)


def test_paths_of_other_classes_in_an_npz_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "tree.npz", class_names=["a", "b"], class_parents=["x"])
    with pytest.raises(UserError, match="no readable class tree"):
        read_tree(tmp_path / "tree.npz", CLASSES)


def test_labels_beyond_the_classes_are_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="labels"):
        hierarchy(tree_from_paths({"a": ["r"]}, ["a"]), np.array([1]), level=1)


def test_class_names_that_are_paths() -> None:
    tree = tree_from_names(["Greek/alpha", "Greek/beta", "Latin/a"])
    assert tree is not None
    assert hierarchy(tree, np.arange(3), level=2).z.tolist() == [0, 0, 1]
    assert tree_from_names(["cat", "a/b"]) is None


@needs_data
def test_real_tree_of_tiny_imagenet_matches_its_own_ancestor_table() -> None:
    file = Path(str(DATA)) / "tiny_imagenet50_hier" / "train.npz"
    with np.load(file) as arrays:
        names = [str(name) for name in arrays["class_names"]]
        ancestors, parent = arrays["class_ancestors"].astype(bool), arrays["node_parent"]
    depth = np.ones(len(parent), int)
    for node in range(len(parent)):
        above = node
        while parent[above] >= 0:
            above, depth[node] = parent[above], depth[node] + 1
    tree = read_tree(file, names)
    for level in range(1, tree.depth + 1):
        z = hierarchy(tree, np.arange(len(names)), level=level).z
        for a in range(len(names)):
            for b in range(len(names)):
                shared = (ancestors[a] & ancestors[b] & (depth == level)).any()
                assert (z[a] == z[b]) == (a == b or bool(shared))


@needs_data
def test_real_is_a_file_of_imagenet() -> None:
    folder = Path(str(DATA)) / "tables"
    file = folder / "hierarchies" / "imagenet1000_isa_edges.txt"
    edges = [tuple(line.split()) for line in file.read_text().split("\n") if line]
    parents = {p for p, _ in edges}
    leaves = sorted({c for _, c in edges} - parents)
    assert len(leaves) == 1000
    chosen = (folder / "cl_infonce" / "imagenet100_selected_100_classes.txt").read_text().split()
    tree = read_tree(file, chosen)
    assert len(tree.paths) == 100
    counts = [
        hierarchy(tree, np.arange(100), level=level).count for level in range(1, tree.depth + 1)
    ]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] == 100
    assert not tree.notes  # this list has been made a tree already


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, list[str]]:
    """A random graph of is-a edges with one root, and some of its nodes as classes."""
    n = draw(st.integers(2, 9))
    edges = [
        (f"n{parent}", f"n{child}")
        for child in range(1, n)
        for parent in draw(st.sets(st.integers(0, child - 1), min_size=1, max_size=3))
    ]
    classes = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    return graph_from_edges(draw(st.permutations(edges))), [f"n{c}" for c in classes]


def paths_to(graph: Graph, name: str) -> list[tuple[str, ...]]:
    """All paths from the root to a node, itself last."""
    above = graph.parents[name]
    return [(*path, name) for p in above for path in paths_to(graph, p)] or [(name,)]


def ancestors_at(graph: Graph, name: str, level: int) -> set[str]:
    return {path[level - 1] for path in paths_to(graph, name) if level < len(path)}


def of_the_definition(graph: Graph, name: str, level: int) -> tuple[str, bool]:
    """The cluster of a class that is not left out: its one ancestor at the level; a class without
    one is its own, and shares that with what is below it where it lies at the level itself."""
    found = ancestors_at(graph, name, level)
    deepest = max(len(path) for path in paths_to(graph, name))
    return (found.pop(), True) if found else (name, deepest == level)


SHARED = [("r", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("b", "d")]  # c is below b, and below a


@given(graphs())
@example((graph_from_edges(SHARED), ["c", "d"]))
def test_dropping_is_the_selection_of_the_paper(drawn: tuple[Graph, list[str]]) -> None:
    """Classes with two or more different ancestors at a level are left out; the cluster of any
    other at a level is its ancestor there, on whichever path (CI-InfoNCE's ImageNet-100)."""
    graph, classes = drawn
    levels = range(1, len(graph.parents) + 1)
    doubled = {c for c in classes if any(len(ancestors_at(graph, c, x)) > 1 for x in levels)}
    assert ambiguous_classes(graph, classes) == doubled
    tree = tree_from_graph(graph, classes, ambiguous="drop")
    assert {classes[i] for i in tree.dropped} == doubled
    kept = [i for i, name in enumerate(classes) if name not in doubled]
    for level in range(1, tree.depth + 1):
        z = hierarchy(tree, np.arange(len(classes)), level=level).clusters
        want = [of_the_definition(graph, classes[i], level) for i in kept]
        for i, one in zip(kept, want, strict=True):
            assert [z[i] == z[j] for j in kept] == [one == other for other in want]


@given(graphs())
def test_the_shortest_of_several_paths_is_a_path_of_the_graph(
    drawn: tuple[Graph, list[str]],
) -> None:
    graph, classes = drawn
    tree = tree_from_graph(graph, classes)
    for path, name in zip(tree.paths, classes, strict=True):
        known = paths_to(graph, name)
        assert path in known
        assert len(path) == min(map(len, known))
