"""What the readers of sets in their native layout share: finding files, and lists of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from viewfinder.core.errors import UserError
from viewfinder.core.files import file_of, path_of
from viewfinder.data.file_splits import read_file_splits
from viewfinder.data.options import ReadOptions
from viewfinder.data.sidecars.read import first_five
from viewfinder.data.source import Attributes, Source

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Listing:
    """What a set says of each split: paths, class numbers, and attributes (N, A) where it has some.

    ``notes`` are sentences for the user on what had to be decided.
    """

    paths: Mapping[str, list[str]]
    labels: Mapping[str, np.ndarray]
    attributes: Mapping[str, np.ndarray]
    attribute_names: Sequence[str]
    class_names: Sequence[str]
    notes: Sequence[str] = field(default=())


def listed_source(
    spec: str, root: Path, listing: Listing, options: ReadOptions, size: int
) -> Source:
    """The source of a listing whose paths are relative to ``root``, at ``size`` unless the options
    say another. Raises UserError where fewer than two training images can be read."""
    read = read_file_splits(
        root,
        listing.paths,
        listing.labels,
        listing.class_names,
        replace(options, size=options.size or size),
    )
    if len(read.splits.get("train", ())) < 2:
        raise UserError(
            f"{root} holds no images to train on, of {len(listing.paths['train'])} that are listed "
            f"({first_five(f'{path}: {why}' for path, why in read.unreadable)})"
        )
    splits = dict(read.splits)
    for name, values in listing.attributes.items():
        if name in splits:
            kept = values[splits[name].factors["source_row"]].astype(np.int64)
            table = Attributes(kept, list(listing.attribute_names))
            splits[name] = replace(splits[name], attributes=table)
    return Source(spec, splits, [*listing.notes, *read.notes], read.unreadable)


def class_split(files: Sequence[str], labels: Sequence[int], class_names: Sequence[str]) -> Listing:
    """Four fifths of each class to train and the rest to test, by numpy's RandomState(42).

    Each class in turn, by its number: the permutation of its images, sorted by path, whose first
    int(0.8 n) are train (at least one). The papers' code shuffled files in the order in which the
    disk gave them, so its exact parts cannot be had again; sorting makes ours the same everywhere.
    """
    random = np.random.RandomState(42)  # numpy's old generator: the papers' choice
    numbers = np.asarray(labels, dtype=np.int64)
    order = np.argsort(np.asarray(files, dtype=object), kind="stable")
    rows: dict[str, list[int]] = {"train": [], "test": []}
    for label in np.unique(numbers):
        members = order[numbers[order] == label]
        shuffled = members[random.permutation(len(members))]
        cut = max(1, int((1 - TEST_SHARE) * len(members)))
        rows["train"] += shuffled[:cut].tolist()
        rows["test"] += shuffled[cut:].tolist()
    return Listing(
        {split: [files[i] for i in chosen] for split, chosen in rows.items()},
        {split: numbers[chosen] for split, chosen in rows.items()},
        {},
        (),
        class_names,
        [
            f"a fifth of each class, {len(rows['test'])} images, was held out as test with numpy's "
            "RandomState(42), files sorted by path"
        ],
    )


def root_of(argument: str, layout: str) -> Path:
    """The folder behind the colon of a spec; ``layout`` says where it is to be had."""
    root = path_of(argument)
    if not argument or not root.is_dir():
        raise UserError(f"there is no folder {argument!r}", fix=layout)
    return root


def one_of(root: Path, places: Sequence[str], layout: str) -> Path:
    """The first of ``places`` that is below ``root``."""
    for place in places:
        if (root / place).exists():
            return root / place
    raise UserError(f"{root} holds no {places[0]}", fix=layout)


def words_of(file: Path, layout: str) -> Iterator[list[str]]:
    """The words of each line that is not empty."""
    for line in lines_of(file, layout):
        yield line.split()


def lines_of(file: Path, layout: str) -> Iterator[str]:
    """The lines that are not empty, stripped."""
    try:
        if file.exists():
            file_of(file)
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                if line.strip():
                    yield line.strip()
    except FileNotFoundError:
        raise UserError(f"there is no file {file}", fix=layout) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text: {error}", fix=layout) from None


def pairs_of(file: Path, layout: str) -> Iterator[tuple[str, str]]:
    """The two words of each line."""
    for words in words_of(file, layout):
        if len(words) != 2:
            raise UserError(f"{file}: {' '.join(words)[:60]!r}; two words per line are expected")
        yield words[0], words[1]
