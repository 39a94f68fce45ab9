"""Leaving images out of a source by a list of them: ``data.exclude``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.data.sidecars.image_list import Position, in_words_of_list, read_image_list
from viewfinder.data.sidecars.read import meant
from viewfinder.data.source import Source, Split
from viewfinder.data.splits import canonical_split, select


def without(source: Source, file: Path, *, limited: bool = False) -> Source:
    """The source without the images that a list names, see ``read_image_list``; a note says how
    many of each split. Limit and held-out part are drawn before, so both are those of the source
    with all images, without these.

    Paths are as the source has them. A position is that in the split as it lies in the source
    (``index`` of ``viewfinder embed``); where the source has no split "test" of its own, "test" and
    "train" both count from the beginning of what was parted. A list without splits is of the only
    one there is.

    limited  the source was opened with a limit, so positions beyond what was taken may exist

    Raises UserError for names and positions that the source does not have, and where fewer than two
    images to train on are left.
    """
    wanted = read_image_list(file)
    gone = _meant(source, file, wanted, limited)
    splits = {
        name: select(split, np.flatnonzero(~gone[name]), name) if gone[name].any() else split
        for name, split in source.splits.items()
    }
    if len(splits["train"]) < 2:
        raise UserError(
            f"{file} leaves {len(splits['train'])} images of {source.spec} to train on; at least 2 "
            "are needed",
            fix="a shorter list",
        )
    counts = {name: int(rows.sum()) for name, rows in gone.items() if rows.any()}
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none of those read"
    note = f"{sum(counts.values())} of the {len(wanted)} images in {file} were left out ({told})"
    kept = {name: split for name, split in splits.items() if len(split)}
    return replace(source, splits=kept, notes=[*source.notes, note])


def named(source: Source, file: Path, *, limited: bool = False) -> dict[str, np.ndarray]:
    """Which images of each split a list names, bool (N,), as ``without`` reads it.

    Raises UserError for names and positions that the source does not have.
    """
    return _meant(source, file, read_image_list(file), limited)


def _meant(
    source: Source, file: Path, wanted: list[str] | list[Position], limited: bool
) -> dict[str, np.ndarray]:
    if isinstance(wanted[0], str):
        return _by_path(source, file, {str(name) for name in wanted})
    return _by_position(source, file, [p for p in wanted if not isinstance(p, str)], limited)


def _by_path(source: Source, file: Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Which images of each split are meant, bool (N,)."""
    if any(split.paths is None for split in source.splits.values()):
        raise UserError(
            f"{file} lists paths, but the images of {source.spec} are not files",
            fix="a first line split,index, and positions below it",
        )
    known: set[str] = set()
    for split in source.splits.values():
        known.update(split.listed or split.paths or ())
    wanted = {meant(name, known) for name in wanted}
    _refuse_unknown(source, file, sorted(wanted - known), known)
    return {
        name: np.array([path in wanted for path in split.paths or ()], bool)
        for name, split in source.splits.items()
    }


def _by_position(
    source: Source, file: Path, wanted: list[Position], limited: bool
) -> dict[str, np.ndarray]:
    own = _own_splits(source)
    positions: set[Position] = set()
    for split, index in wanted:
        name = canonical_split(split) or split
        if name == "val" and name not in own:
            name = "test"  # it took its place
        if not name and len(set(own.values())) == 1:
            name = next(iter(own))
        if not name:
            raise UserError(
                f"{file} lists positions, and {source.spec} has the splits {', '.join(own)}",
                fix="a first line split,index, and the split before each position",
            )
        if name not in own:
            raise UserError(f"{file} names the split {split}; {source.spec} has {', '.join(own)}")
        positions.add((own[name], index))
    found: set[Position] = set()
    gone = {}
    for name, part in source.splits.items():
        rows = [(own[name], int(row)) for row in _rows(part)]
        gone[name] = np.array([row in positions for row in rows], bool)
        found.update(positions.intersection(rows))
    if not limited:
        _refuse_unknown(source, file, sorted(positions - found), ())
    return gone


def _own_splits(source: Source) -> Mapping[str, str]:
    """The split that the positions of each split count in: a held-out test's is train."""
    return {n: "train" if source.held_out and n == "test" else n for n in source.splits}


def _rows(split: Split) -> np.ndarray:
    return split.factors.get("source_row", np.arange(len(split)))


def _refuse_unknown(
    source: Source, file: Path, unknown: list[str] | list[Position], known: Collection[str]
) -> None:
    if not unknown:
        return
    example = f", such as {min(known)}" if known else ""
    raise UserError(
        f"{file} names {len(unknown)} images that {source.spec} does not have: "
        f"{in_words_of_list(unknown)}",
        fix=f"the names as the source has them{example}",
    )
