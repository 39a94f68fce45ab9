"""Choosing images: class-balanced subsets, held-out parts, and the names of splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from viewfinder.core.randomness import numpy_generator
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Attributes, Source, Split
from viewfinder.data.stored import Subset

HELD_OUT = 0.2
UNLABELLED_HELD_OUT = 2000

_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
    "unlabeled": ("unlabeled", "unlabelled"),
}
_CANONICAL = {alias: name for name, aliases in _SPLIT_NAMES.items() for alias in aliases}


def canonical_split(name: str) -> str | None:
    """The split a folder or file name stands for ("Validation" is "val"), or None."""
    return _CANONICAL.get(name.lower())


def stratified_rows(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """``count`` positions, ascending; each class gets its share count * n / N, rounded up or down.

    The images left over after rounding down go to the largest remainders, ties by lot.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    share, remainder = np.divmod(count * sizes, len(labels))
    order = np.lexsort((generator.random(len(classes)), -remainder))
    share[order[: count - share.sum()]] += 1
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:size]
        for label, size in zip(classes, share, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def few_labels(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """The labels of ``count`` images, as many of each class as its share, and -1 for all others.

    labels  int64 (N,), -1 where there is none; at least ``count`` are known
    """
    known = np.flatnonzero(labels >= 0)
    chosen = known[stratified_rows(labels[known], count, generator)]
    kept = np.full_like(labels, -1)
    kept[chosen] = labels[chosen]
    return kept


def limited_rows(
    count: int, labels: np.ndarray | None, name: str, options: ReadOptions
) -> tuple[np.ndarray, str | None]:
    """The positions that ``options.limit`` leaves of a split, and a sentence if it left any out."""
    limit = options.limit
    if limit is None or limit >= count:
        return np.arange(count), None
    generator = numpy_generator(options.seed, f"data/limit/{name}")
    if labels is None:
        rows = np.sort(generator.choice(count, size=limit, replace=False))
        kind = "random"
    else:
        rows = stratified_rows(labels, limit, generator)
        kind = "class-balanced"
    note = f"{name}: a {kind} subset of {limit} of {count} images was taken with seed "
    return rows, f"{note}{options.seed} (data.limit={limit})"


def held_out_rows(
    count: int, labels: np.ndarray | None, generator: np.random.Generator
) -> np.ndarray:
    """Positions of the held-out part, ascending.

    Labelled: a fifth of every class, rounded, at least one and never all; classes of one image
    stay in train. Unlabelled: a plain fifth of all, at most 2000.
    """
    if labels is None:
        size = min(max(1, round(HELD_OUT * count)), UNLABELLED_HELD_OUT)
        return np.sort(generator.choice(count, size=size, replace=False))
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        size = max(1, round(HELD_OUT * len(members))) if len(members) > 1 else 0
        chosen.append(generator.permutation(members)[:size])
    return np.sort(np.concatenate(chosen))


class SelectedFactors(Mapping[str, np.ndarray]):
    """The factors of some rows of a split, selected when looked at; plus ``source_row``.

    ``source_row`` is each image's position in the split as the source has it, so that results for
    a subset can be joined to the user's own tables.
    """

    def __init__(self, factors: Mapping[str, np.ndarray], rows: np.ndarray) -> None:
        self._factors = factors
        self._rows = rows

    def __getitem__(self, key: str) -> np.ndarray:
        if key == "source_row" and key not in self._factors:
            return self._rows
        return self._factors[key][self._rows]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._factors, "source_row"])

    def __len__(self) -> int:
        return len(self._factors) + ("source_row" not in self._factors)


def select_attributes(attributes: Attributes | None, rows: np.ndarray) -> Attributes | None:
    """The attributes of some rows."""
    return None if attributes is None else replace(attributes, values=attributes.values[rows])


def select(split: Split, rows: np.ndarray, name: str) -> Split:
    """The images at int64 positions ``rows`` of a split, as a split of its own; pixels shared."""
    return replace(
        split,
        name=name,
        data=Subset(split.data, rows),
        labels=None if split.labels is None else split.labels[rows],
        attributes=select_attributes(split.attributes, rows),
        paths=None if split.paths is None else [split.paths[row] for row in rows],
        factors=SelectedFactors(split.factors, rows),
    )


def identities(split: Split) -> np.ndarray:
    """What an image of a split is known by, however the split was drawn: its path or its row."""
    if split.paths is not None:
        return np.array(split.paths)
    return split.factors.get("source_row", np.arange(len(split)))


def with_test(source: Source, seed: int, held_out: np.ndarray | None = None) -> Source:
    """The source with a split "test": its own, its "val" under that name, or a held-out fifth.

    held_out  ``identities`` of the images that an earlier opening held out: those of them that are
              here are held out again, and no others. An image that is the only one of its class
              outside stays in train. None: the part depends on the seed and the labels only

    What was done is added to ``notes``; nothing is held out where no class has two members, or
    where no image of ``held_out`` is here.
    """
    if "test" in source.splits:
        return source
    splits = dict(source.splits)
    if "val" in splits:
        splits["test"] = replace(splits.pop("val"), name="test")
        note = "no test split: the validation split is used as test"
        return replace(source, splits=splits, notes=[*source.notes, note])
    train = splits["train"]
    rows = held_out_rows(len(train), train.labels, numpy_generator(seed, "data/held-out"))
    note = _drawn_note(train, len(rows), seed)
    if held_out is not None:
        again = _held_out_again(train, held_out)
        if not np.array_equal(again, rows):
            rows, note = again, _again_note(len(again), len(held_out))
    if len(rows) == 0:
        return replace(source, notes=[*source.notes, note])
    rest = np.setdiff1d(np.arange(len(train)), rows)
    splits["train"] = select(train, rest, "train")
    splits["test"] = select(train, rows, "test")
    return replace(source, splits=splits, notes=[*source.notes, note], held_out=True)


def _drawn_note(train: Split, count: int, seed: int) -> str:
    if count == 0:
        return "no test split, and none could be held out: no class has two images"
    if train.labels is not None:
        part = "a stratified fifth"
    elif count < UNLABELLED_HELD_OUT:
        part = "a random fifth"
    else:
        part = "drawn at random"
    return f"no test split: {count} images, {part}, were held out with seed {seed}"


def _held_out_again(train: Split, held_out: np.ndarray) -> np.ndarray:
    """Positions of the images that were held out before, ascending: those whose class, if they have
    one, has an image left in train, which no probe could know otherwise."""
    known = identities(train)
    if known.dtype.kind != held_out.dtype.kind:
        return np.arange(0)
    before = np.isin(known, held_out)
    if train.labels is not None:
        before &= np.isin(train.labels, train.labels[~before])
    return np.flatnonzero(before)


def _again_note(count: int, of: int) -> str:
    if count == 0:
        return f"no test split: none of the {of} images that the run held out is here"
    if count == of:
        return f"no test split: the {of} images that the run held out are held out here too"
    return f"no test split: {count} of the {of} images that the run held out are held out here"
