"""Class trees in files: paths, edges, or WordNet's is-a list."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, reading
from viewfinder.data.sidecars.read import first_five
from viewfinder.positives.class_tree import (
    Ambiguous,
    Tree,
    graph_from_edges,
    tree_from_graph,
    tree_from_paths,
)

_FORMS = "class,path or child,parent (CSV with a header), or lines 'parent child' (WordNet's is-a)"


def read_tree(
    file: Path | str, classes: Sequence[str], *, ambiguous: Ambiguous = "shortest"
) -> Tree:
    """The tree of ``classes`` from a file in one of these forms.

    - CSV ``class,path``: the class's ancestors from the root down, as "animal/mammal" or
      "animal > mammal"
    - CSV ``child,parent`` (or ``parent,child``): one edge a line; a root has an empty parent or no
      line of its own
    - no header and two words per line, "parent child": WordNet's is-a file
    - ``.npz`` with class_names and class_parents ("Footwear > Shoes"), or with class_wnids,
      node_wnids and node_parent (the parent's position, -1 for the root)

    Raises UserError for other forms, and what tree_from_paths and tree_from_graph raise.
    """
    file = file_of(file)
    with reading(file):
        return _tree(file, classes, ambiguous)


def _tree(file: Path, classes: Sequence[str], ambiguous: Ambiguous) -> Tree:
    if file.suffix == ".npz":
        return _from_npz(file, classes)
    lines = _lines(file)
    header = [name.strip().lower() for name in next(csv.reader(lines[:1]))]
    if set(header) == {"class", "path"}:
        rows = dict(_cells(file, lines, header, ("class", "path")))
        return tree_from_paths({c: _steps(path) for c, path in rows.items()}, classes, str(file))
    if set(header) == {"parent", "child"}:
        edges = _cells(file, lines, header, ("parent", "child"))
        return tree_from_graph(graph_from_edges(edges, str(file)), classes, ambiguous=ambiguous)
    if len(lines[0].split()) == 2 and "," not in lines[0]:
        return tree_from_graph(
            graph_from_edges(_pairs(file, lines), str(file)), classes, ambiguous=ambiguous
        )
    raise UserError(f"{file} begins with {lines[0][:60]!r}; expected is {_FORMS}")


def tree_from_names(classes: Sequence[str]) -> Tree | None:
    """The tree that class names spell themselves ("Greek/alpha"); None where they do not."""
    if not all("/" in name for name in classes):
        return None
    return tree_from_paths({name: [*name.split("/")[:-1], name] for name in classes}, classes)


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as text in UTF-8: {error}") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{file} is empty; expected is {_FORMS}")
    return lines


def _cells(
    file: Path, lines: Sequence[str], header: Sequence[str], wanted: tuple[str, str]
) -> Iterator[tuple[str, str]]:
    rows = list(csv.reader(lines[1:]))
    uneven = [i + 2 for i, row in enumerate(rows) if len(row) != 2]
    if uneven:
        raise UserError(f"{file}: lines {first_five(uneven)} do not have the two cells {wanted}")
    first, second = (header.index(name) for name in wanted)
    for row in rows:
        yield row[first].strip(), row[second].strip()


def _pairs(file: Path, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if len(words) != 2:
            raise UserError(f"{file}: line {number} is {line[:60]!r}; 'parent child' is expected")
        yield words[0], words[1]


def _steps(path: str) -> list[str]:
    separator = ">" if ">" in path else "/"
    return [step.strip() for step in path.split(separator) if step.strip()]


def _from_npz(file: Path, classes: Sequence[str]) -> Tree:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            names = [str(name) for name in arrays["class_names"]]
            if "class_parents" in arrays:
                steps = [_steps(str(path)) for path in arrays["class_parents"]]
            else:
                steps = _climbed(arrays["class_wnids"], arrays["node_wnids"], arrays["node_parent"])
            rows = dict(zip(names, steps, strict=True))
    except FileNotFoundError:
        raise UserError(f"there is no file {file}") from None
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(
            f"{file} has no readable class tree: {error}",
            fix="class_names and class_parents (such as 'animal > mammal'), or class_names, "
            "class_wnids, node_wnids and node_parent; or a CSV of class,path",
        ) from None
    return tree_from_paths(rows, classes, str(file))


def _climbed(
    class_ids: np.ndarray, node_ids: np.ndarray, node_parent: np.ndarray
) -> list[list[str]]:
    """Each class's ancestors, root first, without the class, from parent positions (-1: root)."""
    position = {str(name): i for i, name in enumerate(node_ids)}
    paths = []
    for name in class_ids:
        node = int(node_parent[position[str(name)]])
        path: list[str] = []
        while node >= 0 and len(path) <= len(node_ids):
            path.append(str(node_ids[node]))
            node = int(node_parent[node])
        if node >= 0:
            raise ValueError(f"node_parent has a cycle above {name}")
        paths.append(path[::-1])
    return paths
