"""Z that a person says: which images are the same, which differ, and which to leave out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.data.excluding import named
from viewfinder.data.sidecars.read import first_three
from viewfinder.data.source import Source, Split
from viewfinder.positives.assignment import Assignment, dense


def said(
    n: int,
    same: Sequence[np.ndarray] = (),
    differ: np.ndarray | None = None,
    leave_out: np.ndarray | None = None,
    over: Assignment | None = None,
) -> Assignment:
    """Z of n images of which nothing is known but what is said, or what ``over`` has it.

    same       masks bool (n,); the images of each are one cluster, together with whatever was the
               same as one of them before, or is by another mask
    differ     bool (n,); each of these becomes a cluster of its own, whatever ``over`` says
    leave_out  bool (n,); these are marked in ``keep``
    over       a clustering to begin with; None: each image its own

    >>> one, other = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    >>> said(4, [one]).z, said(4, [one, other]).z
    (array([0, 0, 1, 2]), array([0, 0, 0, 1]))
    """
    z = np.arange(n) if over is None else over.clusters.copy()
    if differ is not None and differ.any():
        z[differ] = z.max() + 1 + np.arange(int(differ.sum()))
    for mask in same:
        if mask.any():
            z[np.isin(z, z[mask])] = z[mask].min()
    keep = None if over is None else over.keep
    if leave_out is not None and leave_out.any():
        keep = ~leave_out if keep is None else keep & ~leave_out
    return Assignment(dense(z), keep=keep)


def read_said(
    source: Source,
    split: Split,
    same: Sequence[Path] = (),
    differ: Sequence[Path] = (),
    leave_out: Sequence[Path] = (),
    over: Assignment | None = None,
    *,
    limited: bool = False,
) -> Assignment:
    """``said`` of lists of images, see ``read_image_list``: each of ``same`` is one cluster.

    Images that are named but not in ``split`` say nothing; a note counts them. Raises UserError for
    names that the source does not have, for a list of less than two images that are the same, and
    for an image of which two things are said.
    """
    notes: list[str] = []

    def mask(file: Path, least: int = 1) -> np.ndarray:
        found = named(source, file, limited=limited)
        own = found[split.name]
        elsewhere = sum(int(rows.sum()) for rows in found.values()) - int(own.sum())
        if own.sum() < least:
            raise UserError(
                f"{file} names {int(own.sum())} images of {split.name}, and at least {least} are "
                f"expected; {elsewhere} are of what is not trained on",
                fix=f"a list of images of {split.name}",
            )
        if elsewhere:
            notes.append(f"{elsewhere} images of {file} are not of {split.name}; they say nothing")
        return own

    groups = [mask(file, least=2) for file in same]
    none = np.zeros(len(split), bool)
    apart = np.logical_or.reduce([none, *map(mask, differ)])
    out = np.logical_or.reduce([none, *map(mask, leave_out)])
    together = np.logical_or.reduce([none, *groups])
    for one, other, what in (
        (together, apart, "to be the same as others and to differ from them"),
        (together, out, "to be the same as others, and to be left out"),
    ):
        if (both := np.flatnonzero(one & other)).size:
            names = first_three(split.paths[i] if split.paths else str(i) for i in both.tolist())
            raise UserError(
                f"{len(both)} images are said {what}: {names}", fix="each in one list alone"
            )
    return said(len(split), groups, apart, out, over).noted(notes)
