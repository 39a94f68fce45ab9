"""Embeddings of a data set as a file, written as they are made."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viewfinder.core.console import progress
from viewfinder.core.errors import UserError
from viewfinder.data.source import Data
from viewfinder.evaluation.embedding_files import check_format, write_rows
from viewfinder.networks.frozen_features import View, batches, check_finite, encode, evaluating
from viewfinder.objectives.similarity import unit


def write_embeddings(
    encoder: nn.Module,
    images: Data,
    view: View,
    out: Path,
    *,
    index: np.ndarray | None = None,
    paths: Sequence[str] | None = None,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    unit_length: bool = False,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
    precision: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> int:
    """Embed all images in order into the file ``out``; returns the dimension D.

    Columns: ``path`` and ``split`` where they are given, ``index`` (0..N-1 where none is given),
    ``label`` where it is given and ``class_name`` where class_names[label] is, and the vector, of D
    float32; with ``unit_length`` divided by its Euclidean length. ``about`` (JSON values: run,
    layer, data) is kept with them. The ending of ``out`` says the format, see
    ``viewfinder.evaluation.embedding_files``. The encoder runs as in ``extract``.

    Memory does not grow with N. The rows go to a temporary file beside ``out`` that takes its place
    at the end: ``out`` is whole or as it was.

    Raises UserError where ``out`` cannot be written, the lengths do not fit, there are no images,
    or a feature is not finite.

    >>> write_embeddings(encoder, split.data, view, Path("vectors.parquet"),
    ...                  paths=split.paths, labels=split.labels)  # doctest: +SKIP
    512
    """
    check_format(out)
    if len(images) == 0:
        raise UserError("there are no images to embed")
    given = {"path": paths, "split": splits, "index": index, "label": labels}
    for name, values in given.items():
        if values is not None and len(values) != len(images):
            raise UserError(f"{name}: {len(values)} values do not fit {len(images)} images")
    given["index"] = np.arange(len(images)) if index is None else index
    columns: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if labels is not None and class_names is not None:
        columns["class_name"] = [class_names[i] if i >= 0 else "" for i in labels.tolist()]
    encoder.to(device)
    dim = 0

    def blocks() -> Generator[np.ndarray]:
        nonlocal dim
        with progress("embedding", len(images)) as advance:
            for span, batch, sides in batches(images, batch_size):
                vectors: Tensor = encode(encoder, batch, view, device, precision, sides).cpu()
                check_finite(vectors, span.start)
                dim = vectors.shape[1]
                yield (unit(vectors) if unit_length else vectors).numpy()
                advance(len(span))

    with evaluating(encoder), closing(blocks()) as made:
        write_rows(out, columns, made, about or {})
    return dim
