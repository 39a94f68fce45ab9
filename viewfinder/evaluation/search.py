"""The images of a run that are most like one: an image of it, a file, or an array."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import UserError, in_words, nearest
from viewfinder.core.files import path_of
from viewfinder.data.convert import in_proportion
from viewfinder.data.decode import decode, read_header
from viewfinder.data.sidecars.image_list import as_word, read_image_list
from viewfinder.evaluation.run_images import RunImages
from viewfinder.runs.embeddings import unit_rows

Query = int | str | Path | np.ndarray | Tensor
"""A row of the run's images; its path in the source, ``test:12``, a row in words, or a file; an
array uint8 (H, W, C) or a tensor uint8 (C, H, W)."""
SHOWN = 96
"""Side of the picture of a query that is a file, px."""
LISTS = (".txt", ".csv")
"""Endings of files that hold a query per line."""
QUERIES = (
    "the path of an image, a row such as 3, test:0 for the first of a split, or a list of these"
)


@dataclass(frozen=True)
class Match:
    """An image that was found.

    row         its row among the run's images
    name        its path, or ``split:index``
    class_name  "" where it has no label
    similarity  cosine similarity with the query, -1..1
    """

    row: int
    name: str
    split: str
    index: int
    class_name: str
    similarity: float


@dataclass(frozen=True)
class Found:
    """A query as it is called, its row where it is one of the run's images, and what was found."""

    query: str
    row: int | None
    class_name: str
    matches: list[Match]
    picture: np.ndarray | None = None
    """Of a query that is none of the run's images: uint8 (C, H, W)."""


def search(images: RunImages, queries: Iterable[Query], top: int = 20) -> list[Found]:
    """For each query the ``top`` images of greatest cosine similarity with it, nearest first, ties
    by row; all are compared, so it is exact. A query that is one of the images is left out.

    Raises UserError for a ``top`` below 1, for a row that there is not, a name that is neither an
    image nor a file, and a file that cannot be read.
    """
    if top < 1:
        raise UserError(
            f"top is {top}; at least 1 is expected", fix="top=20, or on the command line --top 20"
        )
    return [_search(images, query, top) for query in queries]


def listed(query: str) -> list[str]:
    """The queries of a file with one per line (.txt or .csv); of anything else itself."""
    if Path(query).suffix.lower() not in LISTS or not path_of(query).is_file():
        return [query]
    return [one if isinstance(one, str) else as_word(one) for one in read_image_list(query)]


def _search(images: RunImages, query: Query, top: int) -> Found:
    known = images.embeddings
    row = _row(images, query)
    picture, name = None, "" if row is None else known.name(row)
    if row is None:
        name = str(query) if isinstance(query, str | Path) else "an array"
        vector = unit_rows(images.model.encode(_single(query)).numpy())[0]
        picture = _shown(images, query)
    else:
        vector = known.unit[row]
    similarity = known.unit @ vector
    if row is not None:
        similarity[row] = -np.inf
    order = np.argsort(-similarity, kind="stable")[: min(top, len(known) - (row is not None))]
    matches = [
        Match(
            i,
            known.name(i),
            known.split[i],
            int(known.index[i]),
            known.class_name(i),
            float(np.clip(similarity[i], -1, 1)),
        )
        for i in order.tolist()
    ]
    return Found(name, row, "" if row is None else known.class_name(row), matches, picture)


def _row(images: RunImages, query: Query) -> int | None:
    """The row of a query that is one of the images; None: it is another image."""
    known = images.embeddings
    if isinstance(query, np.ndarray | Tensor):
        return None
    word = str(query)
    if not word.strip():
        raise UserError("no image to search for was given", fix=QUERIES)
    if re.fullmatch(r"-?\d+", word):
        row = int(word) if len(word) < 19 else len(known)
        if not 0 <= row < len(known):
            raise UserError(
                f"there is no image {in_words(query)}: {images.source.spec} has {len(known):,}, "
                f"0 to {len(known) - 1}",
                fix="a number of these, the path of an image, or test:0 for the first of a split",
            )
        return row
    split, colon, index = word.rpartition(":")
    if colon and split in images.source.splits and index.isdecimal() and len(index) < 19:
        here = np.flatnonzero(np.array(known.split) == split)
        if known.paths is None:  # as lists and tables name it
            at = here[known.index[here] == int(index)]
        else:  # the n-th of this part, wherever it was drawn from
            at = here[int(index) : int(index) + 1]
        if not len(at):
            first, last = (0, len(here) - 1) if known.paths else known.index[here[[0, -1]]]
            raise UserError(
                f"{split} of {images.source.spec} has no image {index}: it has {len(here):,}, "
                f"{first} to {last}",
                fix=f"{split}:{first} for the first of it",
            )
        return int(at[0])
    paths = known.paths or []
    if word in paths:
        return paths.index(word)
    if not path_of(word).exists():
        guess = nearest(word, paths[:10_000])
        raise UserError(
            f"{in_words(word)} is neither a file nor an image of {images.source.spec}",
            fix=guess or QUERIES,
        )
    return _same_file(images, path_of(word))


def _same_file(images: RunImages, file: Path) -> int | None:
    """The row of a file that lies in the folder of the run's images; None: it lies elsewhere."""
    root = path_of(images.source.spec.partition(":")[2])
    try:
        word = file.resolve().relative_to(root.resolve()).as_posix()
    except (ValueError, OSError):
        return None
    paths = images.embeddings.paths or []
    return paths.index(word) if word in paths else None


def _single(query: Query) -> str | Path | list[np.ndarray | Tensor]:
    """What ``Model.encode`` takes: an array in a list is one image, whatever its axes."""
    return [query] if isinstance(query, np.ndarray | Tensor) else Path(str(query))


def _shown(images: RunImages, query: Query) -> np.ndarray | None:
    """The picture of a query from elsewhere, uint8 (C, H, W)."""
    if images.images.modality != "images":
        return None
    if isinstance(query, Tensor):
        return query.cpu().numpy()
    if isinstance(query, np.ndarray):
        return query[None] if query.ndim == 2 else np.moveaxis(query, -1, 0)
    file = path_of(str(query))  # it was read before, to be encoded
    header = read_header(file)
    pixels = torch.from_numpy(decode(file, SHOWN, header.channels).copy()).permute(2, 0, 1)
    sides = torch.tensor([[header.height, header.width]])
    return in_proportion(pixels[None], sides)[0].numpy()
