"""Multi-valued tags ("red;shoe"): a yes/no column for each, and how alike two sets of them are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.data.source import Attributes


@dataclass(frozen=True)
class Tags:
    """Which datum has which tag: matrix bool (N, V), names (V,), the most frequent tag first."""

    matrix: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def attributes(self) -> Attributes:
        """The tags as binary attributes, for ``positives.attributes``."""
        return Attributes(self.matrix, self.names)


def tags_of_cells(
    cells: Sequence[str], *, separator: str = ";", min_count: int = 1, most: int | None = 1000
) -> Tags:
    """Tags from one cell a datum; spaces around a tag do not count, case does.

    Tags of fewer than ``min_count`` data are dropped, and those after the ``most`` most frequent
    ones (ties in the order of the alphabet); a note says how many. An empty cell has no tags.

    >>> tags_of_cells(["red;shoe", "shoe", ""]).names
    ('shoe', 'red')
    """
    sets = [{tag.strip() for tag in cell.split(separator)} - {""} for cell in cells]
    times = Counter(tag for found in sets for tag in found)
    frequent = sorted((t for t in times if times[t] >= min_count), key=lambda t: (-times[t], t))
    names = tuple(frequent[:most])
    if not names:
        raise UserError(
            f"no tag is left: {len(times)} tags are in {len(sets)} cells, and each of them is "
            f"needed {min_count} times",
            fix=f"cells such as: red{separator}shoe",
        )
    column = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(sets), len(names)), bool)
    for row, found in enumerate(sets):
        matrix[row, [column[tag] for tag in found if tag in column]] = True
    dropped = len(times) - len(names)
    note = f"{dropped} of {len(times)} tags were left out: rarer than the {len(names)} kept"
    return Tags(matrix, names, (note,) if dropped else ())


def tags_of_attributes(table: Attributes) -> Tags:
    """Attributes as tags: of a column of 0 and 1 those with 1 have the tag; any other column is a
    tag for each of its values; a missing value is no tag.

    Raises UserError where nothing is left.
    """
    columns: list[np.ndarray] = []
    names: list[str] = []
    for a, name in enumerate(table.names):
        values = table.values[:, a]
        present = [int(v) for v in np.unique(values) if v != -1]
        if set(present) <= {0, 1}:
            columns.append(values == 1)
            names.append(str(name))
            continue
        words = table.value_names.get(name)
        columns += [values == v for v in present]
        names += [f"{name}={words[v] if words is not None else v}" for v in present]
    if not columns or not any(c.any() for c in columns):
        raise UserError("the attributes have no tag that any image has", fix="positives=instance")
    matrix = np.stack(columns, axis=1)
    alone = int((~matrix.any(axis=1)).sum())
    notes = (f"{alone} of {len(matrix)} images have no tag: their own views alone are the same",)
    return Tags(matrix, tuple(names), notes if alone else ())
