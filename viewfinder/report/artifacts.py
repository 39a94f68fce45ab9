"""The files from which a report is drawn, written at the end of a run and read back by ``gather``.

Both are plain npz of numbers and text: nothing in them can execute code.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.errors import UserError, brief
from viewfinder.core.files import write_atomically
from viewfinder.report.content import Embedded, Gallery, Same
from viewfinder.report.sprites import displayable, fit, shrink

THUMBNAIL = 48
"""Longest side of a stored thumbnail, px; of many images ``SMALL``."""
SMALL = 32
MANY = 1500
NEAR = "near by "
"""What the names of arrays of neighbours begin with."""

LARGEST = 2**29
"""Bytes that a file unpacks to, at most."""

GALLERY = 96
"""Longest side of a stored view, px."""


def thumbnail(count: int) -> int:
    """The longest side of the thumbnails of so many images, px."""
    return THUMBNAIL if count <= MANY else SMALL


def save_views(
    path: Path,
    originals: Any,
    views: Sequence[Any],
    decoded: Sequence[Any] = (),
) -> None:
    """Store what the network was shown, for the gallery of views. A dozen images are plenty.

    originals  uint8 (n, C, H, W), tensor or array
    views      each float (n, c, h, w) in [0, 1]; sizes may differ
    decoded    what a decoder made of the first views' features, like the views

    >>> save_views(run / "artifacts/views.npz", batch.data[:12],
    ...            [maker.shown(v[:12], i) for i, v in enumerate(views)])  # doctest: +SKIP
    """
    columns = [_nhwc(originals).astype(np.uint8)]
    columns += [_bytes(_nhwc(view)) for view in (*views, *decoded)]
    shapes = [(c.shape[3], c.shape[1], c.shape[2]) for c in columns]
    if len({len(c) for c in columns}) != 1:
        raise ValueError(f"views of one batch expected, got {[len(c) for c in columns]} images")
    if len({c.shape[3] for c in columns}) > 1:
        columns = [np.repeat(d, 3 // d.shape[3], axis=3) for d in map(displayable, columns)]
    shown = columns[1:] or columns
    height, width = (max(c.shape[axis] for c in shown) for axis in (1, 2))
    scale = min(1.0, GALLERY / max(height, width))
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    images = np.stack([fit(c, height, width) for c in columns], axis=1)
    _save(path, views=images, shapes=np.array(shapes, np.int64), decoded=np.array(len(decoded)))


def save_embeddings(
    path: Path,
    embeddings: Any,
    images: Any | None = None,
    *,
    labels: Any | None = None,
    class_names: Sequence[str] | None = None,
    names: Sequence[str | int] | None = None,
    about: str = "",
    splits: Sequence[str] | None = None,
    rivals: Mapping[str, np.ndarray] | None = None,
    total: int = 0,
) -> None:
    """Store embeddings for the map and the nearest neighbours.

    embeddings  float (N, D), tensor or array; a report shows at most 5,000 of them
    images      uint8 (N, C, H, W) the same images, stored as thumbnails of at most 48 px
    labels      int (N,), -1 where unknown; class_names names[label]
    names       path or index of each image
    about       what they are, for the reader: "all images of shapes"
    splits      the split of each image
    rivals      neighbours int (N, k) by other features, by their name: "raw pixels"
    total       how many images these were drawn from; 0: these are all

    Raises ValueError where lengths differ.
    """
    vectors = np.asarray(_array(embeddings), np.float32)
    embedded = Embedded(
        vectors=vectors,
        thumbnails=None if images is None else shrink(_nhwc(images), thumbnail(len(vectors))),
        labels=None if labels is None else np.asarray(_array(labels)).astype(np.int64),
        class_names=[str(name) for name in class_names] if class_names is not None else (),
        names=[str(name) for name in names] if names is not None else (),
        about=about,
        splits=[*splits] if splits is not None else (),
        rivals=dict(rivals or {}),
        total=total,
    )
    arrays: dict[str, np.ndarray] = {"embeddings": vectors, "about": np.array(about, np.str_)}
    arrays["total"] = np.array(total)
    if embedded.splits:
        arrays["splits"] = np.array(embedded.splits, np.str_)
    for name, near in embedded.rivals.items():
        arrays[f"{NEAR}{name}"] = near.astype(np.int32)
    if embedded.thumbnails is not None:
        arrays["thumbnails"] = embedded.thumbnails
    if embedded.labels is not None:
        arrays["labels"] = embedded.labels
    if embedded.class_names:
        arrays["class_names"] = np.array(embedded.class_names, np.str_)
    if embedded.names:
        arrays["names"] = np.array(embedded.names, np.str_)
    _save(path, **arrays)


def save_same(
    path: Path, images: Any, group: np.ndarray, sizes: Sequence[int], groups: int
) -> None:
    """Store images uint8 (n, C, H, W) that counted as the same, with the group of each, the sizes
    of these groups and the number of all."""
    pictures = displayable(shrink(_nhwc(images), THUMBNAIL))
    same = Same(pictures, np.asarray(group, np.int64), sizes, groups)
    _save(
        path,
        same=same.images,
        group=same.group,
        sizes=np.array(sizes, np.int64),
        groups=np.array(groups),
    )


def load_same(path: Path) -> Same:
    """Read what ``save_same`` wrote; raises as ``load_views``."""
    arrays = _load(path, "same")
    try:
        sizes = arrays["sizes"].tolist()
        return Same(arrays["same"], arrays["group"], sizes, int(arrays["groups"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} does not fit together: {error}") from error


def load_views(path: Path) -> Gallery:
    """Read what ``save_views`` wrote. Raises FileNotFoundError, or UserError if it is damaged."""
    arrays = _load(path, "views")
    shapes = arrays.get("shapes", np.zeros((0, 3), np.int64))
    try:
        sides = [(int(c), int(h), int(w)) for c, h, w in shapes]
        return Gallery(arrays["views"], sides, int(arrays.get("decoded", 0)))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} does not fit together: {error}") from error


def load_embeddings(path: Path) -> Embedded:
    """Read what ``save_embeddings`` wrote; raises as ``load_views``."""
    arrays = _load(path, "embeddings")
    try:
        return Embedded(
            vectors=arrays["embeddings"],
            thumbnails=arrays.get("thumbnails"),
            labels=arrays.get("labels"),
            class_names=arrays.get("class_names", np.array([], np.str_)).tolist(),
            names=arrays.get("names", np.array([], np.str_)).tolist(),
            about=str(arrays.get("about", "")),
            splits=arrays.get("splits", np.array([], np.str_)).tolist(),
            rivals={
                name.removeprefix(NEAR): near.astype(np.int64)
                for name, near in arrays.items()
                if name.startswith(NEAR)
            },
            total=int(arrays.get("total", 0)),
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} does not fit together: {error}") from error


def _load(path: Path, key: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > LARGEST:
            raise ValueError(f"it would unpack to {size:,} bytes, more than any report shows")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever numpy and zip make of what is no npz file
        raise UserError(f"{path} cannot be read: {brief(error)}") from error
    if key not in arrays:
        raise UserError(f"{path} has no array {key!r}; it holds {', '.join(arrays) or 'nothing'}")
    return arrays


def _save(path: Path, **arrays: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(Path(path), buffer.getvalue())


def _array(values: Any) -> np.ndarray:
    """A numpy array of a tensor on any device and of any float type, or of anything array-like."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point():
            values = values.float()  # numpy has no bfloat16
    return np.asarray(values)


def _nhwc(images: Any) -> np.ndarray:
    array = _array(images)
    if array.ndim != 4:
        raise ValueError(f"images (N, C, H, W) expected, got {array.shape}")
    return array.transpose(0, 2, 3, 1)


def _bytes(view: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as 8 bits; what is beyond is cut, what is no number is 0."""
    pixels = np.nan_to_num(view.astype(np.float64))
    return np.round(pixels.clip(0, 1) * 255).astype(np.uint8)
