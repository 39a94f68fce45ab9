"""The files of ``viewfinder embed`` read back: a row per image, with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import file_of


@dataclass(frozen=True)
class Embeddings:
    """What a Parquet file of embeddings holds.

    vectors      float32 (N, D), finite
    split        (N,) the split each image is in
    index        int64 (N,) its position in the split as the source has it
    paths        (N,) relative to the source, or None where the images are no files
    labels       int64 (N,), -1 where unknown, or None
    class_names  (N,) the name of each image's class, "" where unknown, or None
    about        the file's metadata: run, epoch, data, ...
    """

    vectors: np.ndarray
    split: Sequence[str]
    index: np.ndarray
    paths: Sequence[str] | None = None
    labels: np.ndarray | None = None
    class_names: Sequence[str] | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def unit(self) -> np.ndarray:
        """The vectors divided by their lengths, float32 (N, D); a row of zeros stays one."""
        return unit_rows(self.vectors)

    def name(self, row: int) -> str:
        """The path of an image, or ``split:index``."""
        return f"{self.split[row]}:{self.index[row]}" if self.paths is None else self.paths[row]

    def class_name(self, row: int) -> str:
        """The name of an image's class, its number where it has no name, "" where unknown."""
        if self.labels is None or self.labels[row] < 0:
            return ""
        return self.class_names[row] if self.class_names is not None else str(self.labels[row])

    def names_of_labels(self) -> dict[int, str]:
        """The name of each class that an image has, by its number."""
        if self.labels is None:
            return {}
        known, first = np.unique(self.labels, return_index=True)
        rows = zip(known.tolist(), first.tolist(), strict=True)
        return {label: self.class_name(row) for label, row in rows if label >= 0}


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows float32 (N, D) divided by their lengths; a row of zeros stays one.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: np.ndarray = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    return made


def read_embeddings(path: Path) -> Embeddings:
    """Read what ``viewfinder embed --out FILE.parquet`` wrote.

    Raises UserError where there is no such file, or it holds something else.
    """
    import pyarrow.parquet as pq

    file = file_of(path)
    try:
        table = pq.read_table(file)
        columns = set(table.column_names)
        vectors = table["vector"].combine_chunks()
        flat = vectors.flatten().to_numpy(zero_copy_only=False)
        found = Embeddings(
            vectors=flat.astype(np.float32, copy=False).reshape(len(table), -1),
            split=table["split"].to_pylist() if "split" in columns else [""] * len(table),
            index=table["index"].to_numpy(),
            paths=table["path"].to_pylist() if "path" in columns else None,
            labels=table["label"].to_numpy() if "label" in columns else None,
            class_names=table["class_name"].to_pylist() if "class_name" in columns else None,
            about=as_text(table.schema.metadata),
        )
    except Exception as error:  # whatever pyarrow and numpy make of what is no such file
        raise UserError(
            f"{path} is no file of embeddings: {brief(error)}",
            fix="viewfinder embed RUN --data SOURCE --out FILE.parquet",
        ) from error
    if not np.isfinite(found.vectors).all():
        raise UserError(f"{path} holds vectors that are not finite")
    return found


def metadata_of(path: Path) -> dict[str, str]:
    """What a Parquet file says of itself; nothing where it is none, or there is none."""
    import pyarrow.parquet as pq

    try:
        return as_text(pq.read_schema(path).metadata)
    except Exception:  # as in ``read_embeddings``: it will be written anew
        return {}


def as_text(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """The metadata of a schema as text, without what Arrow keeps there for itself."""
    found = {k.decode(): v.decode("utf-8", "replace") for k, v in (metadata or {}).items()}
    found.pop("ARROW:schema", None)
    return found
