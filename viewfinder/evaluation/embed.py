"""Embeddings of a data set as a Parquet table, written as they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.core.files import replacing, writing
from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import View, batches, check_finite, encode, evaluating

if TYPE_CHECKING:
    import pyarrow as pa

REPEATING = ["path", "label", "split"]


def write_embeddings(
    encoder: nn.Module,
    images: Data,
    view: View,
    out: Path,
    *,
    index: np.ndarray | None = None,
    paths: Sequence[str] | None = None,
    labels: np.ndarray | None = None,
    splits: Sequence[str] | None = None,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    precision: str | None = None,
    about: Mapping[str, str] | None = None,
) -> int:
    """Embed all images in order into the Parquet file ``out``; returns the dimension D.

    Columns: ``index`` int64 (0..N−1 where none is given), ``path`` string, ``label`` int64 and
    ``split`` string where they are given, ``vector`` fixed-size list of D float32. ``about`` goes
    into the file's own key-value metadata (run, layer, data). The encoder runs as in ``extract``.

    A row group is one batch, so memory does not grow with N. The rows go to a temporary file beside
    ``out`` that takes its place at the end: ``out`` is whole or as it was.

    Raises UserError where ``out`` cannot be written, the lengths do not fit, there are no images,
    or a feature is not finite.

    >>> write_embeddings(encoder, split.data, view, Path("vectors.parquet"),
    ...                  paths=split.paths, labels=split.labels)  # doctest: +SKIP
    512
    """
    import pyarrow.parquet as pq

    if len(images) == 0:
        raise UserError("there are no images to embed")
    given = {"index": index, "path": paths, "label": labels, "split": splits}
    for name, values in given.items():
        if values is not None and len(values) != len(images):
            raise UserError(f"{name}: {len(values)} values do not fit {len(images)} images")
    encoder.to(device)
    dim, writer = 0, None
    with replacing(out) as temporary, evaluating(encoder):
        try:
            for span, batch, sides in batches(images, batch_size):
                vectors = encode(encoder, batch, view, device, precision, sides).cpu()
                check_finite(vectors, span.start)
                table = _table(span, vectors, index, paths, labels, splits)
                with writing(out):
                    if writer is None:
                        dim = vectors.shape[1]
                        schema = table.schema.with_metadata(dict(about or {}))
                        # a dictionary of floats that never repeat makes the file larger
                        writer = pq.ParquetWriter(
                            temporary, schema, use_dictionary=REPEATING, compression="zstd"
                        )
                    writer.write_table(table)
        finally:
            if writer is not None:
                with writing(out):
                    writer.close()
    return dim


def _table(
    span: range,
    vectors: Tensor,
    index: np.ndarray | None,
    paths: Sequence[str] | None,
    labels: np.ndarray | None,
    splits: Sequence[str] | None,
) -> pa.Table:
    """The rows at ``span`` as a table."""
    import pyarrow as pa

    rows = slice(span.start, span.stop)
    positions = np.arange(span.start, span.stop) if index is None else index[rows]
    columns: dict[str, pa.Array] = {"index": pa.array(positions, pa.int64())}
    if paths is not None:
        columns["path"] = pa.array(paths[rows], pa.string())
    if labels is not None:
        columns["label"] = pa.array(labels[rows], pa.int64())
    if splits is not None:
        columns["split"] = pa.array(splits[rows], pa.string())
    flat = pa.array(vectors.numpy().reshape(-1))
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns)
