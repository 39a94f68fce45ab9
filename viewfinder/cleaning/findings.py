"""All that is found about the images of a run, as columns of one table and as lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from viewfinder.cleaning.copies import Copies, Seen, find_copies
from viewfinder.cleaning.diverse import farthest_first
from viewfinder.cleaning.effect import Effect, effect_of_copies
from viewfinder.cleaning.labels import Doubts, doubts, neighbour_probabilities
from viewfinder.cleaning.looks import Looks, looks_of
from viewfinder.cleaning.outliers import outlier_scores, unusual
from viewfinder.core.console import progress
from viewfinder.core.csv_text import csv_text
from viewfinder.core.errors import UserError
from viewfinder.core.files import replacing, write_atomically, writing
from viewfinder.data.source import Data
from viewfinder.evaluation.run_images import RunImages
from viewfinder.runs.embeddings import Embeddings

LABEL_NEXT = 100
"""Images that are proposed to be labelled, unless said otherwise."""
BATCH = 1024
FILES = ("findings.parquet", "findings.csv")
MARK = b"effect_of_copies"
"""What the metadata of the first contain."""


@dataclass(frozen=True)
class Findings:
    """What was found about N images; rows are those of the embeddings.

    near        int64 (N, k), the nearest neighbours of each
    doubts      None where there are no labels
    label_next  int64 (n,), rows in the order in which they are proposed
    effects     a score on the test images with and without those that have a copy in train
    """

    of: Embeddings
    near: np.ndarray
    copies: Copies
    outlier_score: np.ndarray
    outlier: np.ndarray
    looks: Looks
    doubts: Doubts | None
    label_next: np.ndarray
    effects: list[Effect]

    @cached_property
    def across(self) -> np.ndarray:
        """bool (N,), whether an image has a copy in another split."""
        group, split = self.copies.group, np.unique(self.of.split, return_inverse=True)[1]
        first, last = np.full(group.max(initial=-1) + 1, len(split)), np.full(len(group), -1)
        inside = group >= 0
        np.minimum.at(first, group[inside], split[inside])
        np.maximum.at(last, group[inside], split[inside])
        found = np.zeros(len(group), bool)
        found[inside] = first[group[inside]] != last[group[inside]]
        return found

    @cached_property
    def spare(self) -> np.ndarray:
        """bool (N,), the copies that are one too many: of each group one stays, the first of test,
        so that the test images are the same as before, or the first of all."""
        group, found = self.copies.group, self.copies.group >= 0
        test = np.array([split == "test" for split in self.of.split])
        order = np.lexsort((np.arange(len(group)), ~test, group))
        order = order[group[order] >= 0]
        _, first = np.unique(group[order], return_index=True)
        spare = found.copy()
        spare[order[first]] = False
        return spare

    def lists(self) -> dict[str, np.ndarray]:
        """Rows of each finding by its name, the most striking first. "leave-out" are the copies too
        many and the empty images, which need no second look."""
        looks, score = self.looks, self.outlier_score
        found = {
            "leave-out": np.flatnonzero(self.spare | looks.empty.numpy()),
            "copies": np.flatnonzero(self.spare),
            "copies-across-splits": np.flatnonzero(self.across),
            "look-alikes": np.flatnonzero(self.copies.alike >= 0),
            "outliers": _sorted(self.outlier, -score),
            "dark": _sorted(looks.dark.numpy(), looks.brightest.numpy()),
            "blurred": _sorted(looks.blurred.numpy(), looks.sharpness.numpy()),
            "empty": np.flatnonzero(looks.empty.numpy()),
        }
        if self.of.labels is None or (self.of.labels < 0).any():
            found["label-next"] = self.label_next
        if self.doubts is not None:
            found["doubtful-labels"] = _sorted(self.doubts.doubtful, self.doubts.confidence)
        return found

    def columns(self) -> dict[str, Any]:
        """The table: what is known of each image, then a group of columns for each finding."""
        of, copies, looks = self.of, self.copies, self.looks
        order = np.full(len(of), -1)
        order[self.label_next] = np.arange(len(self.label_next))
        columns: dict[str, Any] = {} if of.paths is None else {"path": list(of.paths)}
        columns |= {"split": list(of.split), "index": of.index}
        if of.labels is not None:
            columns |= {"label": of.labels, "class_name": [*map(of.class_name, range(len(of)))]}
        columns |= {
            "copy_group": copies.group,
            "copy_of": [of.name(i) if i >= 0 else "" for i in copies.nearest.tolist()],
            "copy_similarity": copies.similarity,
            "identical": copies.identical,
            "copy_across_splits": self.across,
            "copy_spare": self.spare,
            "looks_like": [of.name(i) if i >= 0 else "" for i in copies.alike.tolist()],
            "outlier_score": self.outlier_score.astype(np.float32),
            "outlier": self.outlier,
        }
        if self.doubts is not None:
            names = of.names_of_labels()
            suggested = self.doubts.suggested.tolist()
            columns |= {
                "label_confidence": self.doubts.confidence,
                "label_doubtful": self.doubts.doubtful,
                "label_suggested": [names.get(label, "") for label in suggested],
            }
        for name in ("brightness", "contrast", "sharpness", "dark", "blurred", "empty"):
            columns[name] = getattr(looks, name).numpy()
        return columns | {"label_next": order}


def findings(images: RunImages, *, label_next: int = LABEL_NEXT, score: bool = True) -> Findings:
    """Look for everything in the images of a run, or of other data in its embedding.

    label_next  images that are proposed to be labelled
    score       measure what the copies do to the score, where train and test have labels

    Raises UserError where the data are no images.
    """
    if images.images.modality != "images":
        raise UserError(f"{images.source.spec} holds {images.images.modality}, and no images")
    known, graph = images.embeddings, images.graph
    seen, looks = _one_pass(images.images)
    copies = find_copies(seen, graph)
    scores = outlier_scores(known.vectors, graph)
    outlier = unusual(scores)
    labels = known.labels
    judged = None
    if labels is not None and (labels >= 0).any():
        judged = doubts(neighbour_probabilities(graph, labels), labels)
    none = np.zeros(0, np.int64)
    found = Findings(known, graph.near, copies, scores, outlier, looks, judged, none, [])
    unfit = found.spare | outlier | (looks.empty | looks.dark).numpy()
    chosen = _to_label(known, unfit, label_next)
    effects = effect_of_copies(images, copies.group) if score else []
    return replace(found, label_next=chosen, effects=effects)


def _one_pass(images: Data) -> tuple[Seen, Looks]:
    seen, looks = [], []
    with progress("looking at images", len(images)) as advance:
        for start in range(0, len(images), BATCH):
            batch = images.read(np.arange(start, min(start + BATCH, len(images))))
            seen.append(Seen.of(batch))
            looks.append(looks_of(batch))
            advance(len(batch))
    fields = ("brightness", "brightest", "contrast", "sharpness")
    joined = Looks(*(torch.cat([getattr(one, name) for one in looks]) for name in fields))
    return Seen.joined(seen), joined


def _to_label(known: Embeddings, unfit: np.ndarray, count: int) -> np.ndarray:
    """Images without a label, in train, that stand for the others; none where each has one."""
    train = np.array([split != "test" for split in known.split]) & ~unfit
    labelled = np.zeros(len(known), bool) if known.labels is None else known.labels >= 0
    candidates = np.flatnonzero(train & ~labelled)
    return farthest_first(known.unit, count, candidates, np.flatnonzero(labelled))


def _sorted(which: np.ndarray, by: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(which)
    found: np.ndarray = rows[np.argsort(by[rows], kind="stable")]
    return found


def write_findings(found: Findings, folder: Path, about: Mapping[str, str]) -> None:
    """Write findings.parquet, findings.csv and a list of images for each finding to ``folder``;
    a finding without an image has a list with a first line alone. A list of an earlier time that
    is no finding now (label-next, once all have labels) is removed.

    Raises UserError where they cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = found.columns()
    effects = json.dumps([one.plain() for one in found.effects])  # in the metadata: MARK
    table = pa.table(columns).replace_schema_metadata({**about, "effect_of_copies": effects})
    file = folder / FILES[0]
    with replacing(file) as temporary, writing(file):
        pq.write_table(table, temporary, compression="zstd")
    rows = zip(*(_cells(values) for values in columns.values()), strict=True)
    write_atomically(folder / FILES[1], csv_text([[*columns], *map(list, rows)]))
    if "label-next" not in found.lists():
        with writing(folder / "label-next.csv"):
            (folder / "label-next.csv").unlink(missing_ok=True)
    for name, chosen in found.lists().items():
        write_atomically(folder / f"{name}.csv", list_of(found.of, chosen))


def list_of(known: Embeddings, rows: np.ndarray) -> str:
    """A list as ``data.exclude`` takes it: paths, or splits and positions."""
    if known.paths is not None:
        return csv_text([["path"], *([known.paths[i]] for i in rows.tolist())])
    lines = [[known.split[i], str(known.index[i])] for i in rows.tolist()]
    return csv_text([["split", "index"], *lines])


def _cells(values: Any) -> list[str]:
    kind = getattr(values, "dtype", None)
    if kind is not None and kind.kind == "f":
        return [f"{value:.6g}" for value in values.tolist()]
    return [str(value) for value in (values.tolist() if kind is not None else values)]
