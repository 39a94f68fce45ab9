"""What a report says, as plain data; how it looks is the business of ``page``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from viewfinder.evaluation.probes.scores import AnyScore

PARTS = ("views", "positives", "negatives", "objective", "regularizers")
"""The five parts that make a method."""


@dataclass(frozen=True)
class Gallery:
    """Images as the network saw them.

    images  uint8 (n, 1 + views, H, W, C), the original first, then each view, de-normalised
    shapes  (C, H, W) of each column before it was fitted to the gallery; empty: as in ``images``
    decoded so many of the last columns are what a decoder made of the first views' features
    """

    images: np.ndarray
    shapes: Sequence[tuple[int, int, int]] = ()
    decoded: int = 0

    @property
    def names(self) -> list[str]:
        """What each column is, in words."""
        views = self.images.shape[1] - 1 - self.decoded
        return [
            "original",
            *(f"view {v + 1}" for v in range(views)),
            *(f"view {v + 1} decoded" for v in range(self.decoded)),
        ]

    def __post_init__(self) -> None:
        _expect(self.images, "gallery images", 5, np.uint8)
        if self.shapes and len(self.shapes) != self.images.shape[1]:
            raise ValueError(
                f"{len(self.shapes)} shapes for a gallery of {self.images.shape[1]} columns"
            )


@dataclass(frozen=True)
class Same:
    """Images that counted as the same in training, a few of the largest groups.

    images  uint8 (n, H, W, C)
    group   int64 (n,), which group each is of
    sizes   how many images each group has in all
    groups  how many groups there are in all
    """

    images: np.ndarray
    group: np.ndarray
    sizes: Sequence[int]
    groups: int

    def __post_init__(self) -> None:
        _expect(self.images, "images", 4, np.uint8)
        if len(self.group) != len(self.images) or self.group.max(initial=-1) >= len(self.sizes):
            raise ValueError(f"{len(self.group)} groups for {len(self.images)} images")


@dataclass(frozen=True)
class Embedded:
    """Images and their embeddings.

    vectors      float (N, D), finite (``gather`` leaves out the rows that are not)
    thumbnails   uint8 (N, H, W, C), or None where the data are not images
    labels       int64 (N,), -1 where unknown; None where there are none
    class_names  names[label]
    names        (N,) path or index of each image
    about        what these images are ("all images of shapes")
    splits       (N,) which split each is of; empty: not known
    rivals       neighbours int64 (N, k) by other features, by their name: "untrained", "raw pixels"
    total        how many images these were drawn from; 0: they are all
    """

    vectors: np.ndarray
    thumbnails: np.ndarray | None = None
    labels: np.ndarray | None = None
    class_names: Sequence[str] = ()
    names: Sequence[str] = ()
    about: str = ""
    splits: Sequence[str] = ()
    rivals: Mapping[str, np.ndarray] = field(default_factory=dict)
    total: int = 0

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not np.issubdtype(self.vectors.dtype, np.floating):
            raise ValueError(
                f"embeddings are {self.vectors.dtype} {self.vectors.shape}; float (N, D) expected"
            )
        if self.thumbnails is not None:
            _expect(self.thumbnails, "thumbnails", 4, np.uint8)
        if self.labels is not None:
            _expect(self.labels, "labels", 1, np.integer)
        lengths = {
            "thumbnails": self.thumbnails,
            "labels": self.labels,
            "names": self.names or None,
            "splits": self.splits or None,
            **{f"neighbours by {name}": near for name, near in self.rivals.items()},
        }
        for what, rows in lengths.items():
            if rows is not None and len(rows) != len(self):
                raise ValueError(f"{len(rows)} {what} for {len(self)} embeddings")
        for name, near in self.rivals.items():
            _expect(near, f"neighbours by {name}", 2, np.integer)
            if near.size and not 0 <= near.min() <= near.max() < len(self):
                raise ValueError(f"neighbours by {name} are not among these images")

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, index: np.ndarray) -> Embedded:
        """The rows at ``index``; neighbours by other features are kept with all of them only."""
        whole = len(index) == len(self)
        return Embedded(
            vectors=self.vectors[index],
            thumbnails=None if self.thumbnails is None else self.thumbnails[index],
            labels=None if self.labels is None else self.labels[index],
            class_names=self.class_names,
            names=[self.names[i] for i in index] if self.names else (),
            about=self.about,
            splits=[self.splits[i] for i in index] if self.splits else (),
            rivals=self.rivals if whole else {},
            total=self.total or (0 if whole else len(self)),
        )

    def name(self, i: int) -> str:
        """Path or index of image ``i``."""
        return self.names[i] if self.names else f"image {i}"

    def class_name(self, label: int) -> str:
        """The name of a class, its number where it has none."""
        if label < 0:
            return "no label"
        return self.class_names[label] if label < len(self.class_names) else f"class {label}"


@dataclass(frozen=True)
class ReportContent:
    """All that a report says. Everything but the title may be missing; the page says what is.

    title    "simclr on shapes"
    summary  the result in a sentence
    verdict  what did better than the trained features, and what to try next
    headline where the features did better: so in a sentence, with the next step
    folder   of the run, for the commands that the page names
    method   text by part (``PARTS``)
    recipe   the recipe's YAML
    history  one value per epoch by column of metrics.csv; None where there is none
    usage    the share of the samples that each prototype won in the last epoch
    scores   the run's own data and settings first: what is compared with these is the headline
    notes    sentences for the reader
    seed     of the map's layout
    """

    title: str
    summary: str = ""
    verdict: Sequence[str] = ()
    headline: str = ""
    folder: str = "RUN"
    method: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    usage: Sequence[float] = ()
    scores: Sequence[AnyScore] = ()
    gallery: Gallery | None = None
    same: Same | None = None
    embedded: Embedded | None = None
    notes: Sequence[str] = ()
    seed: int = 0


def neighbours(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others of each row by cosine similarity, nearest first, ties by index.

    Returns indices int64 (N, k') and similarities (N, k') with k' = min(k, N - 1). A row of zeros
    has similarity 0 to everything.

    >>> neighbours(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), 1)[0].tolist()
    [[1], [0], [1]]
    """
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : max(0, min(k, len(vectors) - 1))]
    return order, np.take_along_axis(similarity, order, axis=1)


def _expect(array: np.ndarray, what: str, ndim: int, kind: type) -> None:
    if array.ndim != ndim or not np.issubdtype(array.dtype, kind):
        raise ValueError(
            f"{what} are {array.dtype} {array.shape}; {kind.__name__} of {ndim} axes expected"
        )
