"""The house: imports run in one direction, without a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import viewfinder

ROOT = Path(viewfinder.__file__).parent
LAYERS = (
    *("core", "data", "views", "information", "positives", "negatives", "networks", "objectives"),
    *("regularizers", "evaluation.probes", "recipes", "runs", "training", "report"),
    *("evaluation", "cleaning", "papers", "sweeps", "commands"),
)
# Probes need features and nothing of runs, so recipes can check and reports can name them: they
# are a layer of their own, although they lie in the folder of what uses them on runs.


def layer(name: str) -> str:
    """The layer of a module: its folder, or the folder in it that is one of its own."""
    folder, _, rest = name.removeprefix("viewfinder.").partition(".")
    inner = f"{folder}.{rest.partition('.')[0]}"
    return inner if inner in LAYERS else folder


def modules() -> Iterator[tuple[str, Path]]:
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules of the project that a file imports, anywhere in it except for type checking."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


GRAPH = {
    name: imports(path, {n for n, _ in modules()}) - {"viewfinder", name}
    for name, path in modules()
    if name != "viewfinder"
}


def test_folders_are_the_layers() -> None:
    assert {layer(name) for name in GRAPH if name.count(".") > 1} <= set(LAYERS)


def test_imports_run_from_a_layer_to_those_before_it() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if layer(name) in LAYERS and LAYERS.index(layer(other)) > LAYERS.index(layer(name))
    ]
    assert not upward, "\n".join(sorted(upward))


def test_there_is_no_circle() -> None:
    TopologicalSorter(GRAPH).prepare()
