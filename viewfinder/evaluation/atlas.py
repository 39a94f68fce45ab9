"""A map of all images as a folder that an explorer in the browser reads.

It is that of Embedding Atlas: data/dataset.parquet, a row per image, and data/metadata.json,
which says what the columns mean to it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfinder.core.console import say
from viewfinder.core.files import replacing, write_atomically, writing
from viewfinder.data.source import Source
from viewfinder.evaluation.run_images import RunImages
from viewfinder.report.projection import Projection, project
from viewfinder.report.sprites import displayable, shrink
from viewfinder.runs.embeddings import metadata_of

THUMBNAIL = 64
"""Longest side of a stored picture, px."""
AT_A_TIME = 1024
"""Pictures that are in memory at once."""
TSNE_UP_TO = 5_000
"""Images up to which the project's own layout is t-SNE, which takes minutes beyond."""
NEAR = 15
"""Neighbours of an image that the explorer is given."""


def lay_out(vectors: np.ndarray, seed: int) -> Projection:
    """Places of unit vectors float32 (N, D), N >= 2: by UMAP (McInnes et al. 2018) where umap-learn
    is installed; else as the report's map; of more than 5,000 by two principal components."""
    if len(vectors) > 3 and (umap := _umap()) is not None:
        near = min(15, len(vectors) - 1)
        init = "spectral" if len(vectors) > 20 else "random"
        layout = umap.UMAP(
            n_neighbors=near, min_dist=0.1, metric="cosine", random_state=seed % 2**32, init=init
        )
        places = np.asarray(layout.fit_transform(vectors), np.float32)
        return Projection(places, f"UMAP ({near} neighbours, min_dist 0.1, cosine, seed {seed})")
    if len(vectors) <= TSNE_UP_TO:
        return project(vectors, seed)
    centred = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    places = (centred @ axes[:, :-3:-1]).astype(np.float32)
    return Projection(places, "the two first principal components of the unit embeddings")


def _umap() -> Any:
    try:
        import umap  # type: ignore[import-not-found]
    except ImportError:
        return None
    return umap


def write_atlas(runs: Sequence[RunImages], folder: Path) -> str:
    """Write the maps of runs, one beside the other, and return how their places were found.

    The columns are id, x, y, name, split, index, class and neighbours; image, where the data are
    images; run, where there are several; path, of files; each tag that all splits have;
    and what ``viewfinder clean`` found, where its table in the run is of these images.

    Raises UserError where the disk refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables: list[Any] = []
    how, right = "", 0.0
    for images in runs:
        laid = lay_out(images.embeddings.unit, images.recipe.seed)
        how = laid.how
        first = sum(len(table) for table in tables)
        places = laid.places - laid.places.min(0)
        columns = _columns(images, pa, first)
        columns |= {"x": places[:, 0] + right, "y": places[:, 1]}
        if len(runs) > 1:
            columns["run"] = [str(images.run.folder)] * len(places)
        tables.append(pa.table(columns))
        right += 1.15 * float(places[:, 0].max()) or 1.0
    table = pa.concat_tables(tables, promote_options="default")
    data = folder / "data"
    with writing(data):
        data.mkdir(parents=True, exist_ok=True)
    with replacing(data / "dataset.parquet") as temporary, writing(data):
        pq.write_table(table, temporary, compression="zstd")
    write_atomically(data / "metadata.json", json.dumps(_metadata(table.column_names, how)))
    return how


def _metadata(names: Sequence[str], how: str) -> dict[str, Any]:
    props: dict[str, Any] = {
        "id": "id",
        "text": "name",
        "projection": {"x": "x", "y": "y"},
        "neighbors": "neighbours",
    }
    if "image" in names:
        props["image"] = "image"
    return {
        "props": {"data": props},
        "isStatic": True,
        "database": {"type": "wasm", "load": True},
        "viewfinder": {"projection": how},
    }


def _columns(images: RunImages, pa: Any, first: int) -> dict[str, Any]:
    of, count = images.embeddings, len(images.embeddings)
    near, k = images.graph.near, min(NEAR, images.graph.k)
    columns: dict[str, Any] = {
        "id": np.arange(first, first + count),
        "name": [of.name(i) for i in range(count)],
        "split": list(of.split),
        "index": of.index,
        "neighbours": pa.array(
            [
                {"ids": (ids[:k] + first).tolist(), "distances": (1 - s[:k]).tolist()}
                for ids, s in zip(near, images.graph.similarity, strict=True)
            ]
        ),
    }
    if of.paths is not None:
        columns["path"] = list(of.paths)
    if of.labels is not None:
        columns["class"] = [of.class_name(i) for i in range(count)]
    if (pictures := _pictures(images)) is not None:
        kind = pa.struct([("bytes", pa.binary())])
        columns["image"] = pa.array([{"bytes": one} for one in pictures], kind)
    return {**_found(images), **columns, **_tags(images.source)}


def _tags(source: Source) -> dict[str, list[str]]:
    """What the tables of tags say of each image, in words; nothing where a split has none."""
    known = [split.attributes for split in source.splits.values()]
    given = [tags for tags in known if tags is not None]
    names = given[0].names if given else ()
    if len(given) < len(known) or any(list(tags.names) != list(names) for tags in given):
        return {}
    made: dict[str, list[str]] = {f"tag {name}": [] for name in names}
    for tags in given:
        for name, values in zip(names, tags.values.T.tolist(), strict=True):
            words = tags.value_names.get(name)
            made[f"tag {name}"] += ["" if v < 0 else words[v] if words else str(v) for v in values]
    return made


def _pictures(images: RunImages) -> list[bytes] | None:
    """Small PNG files, one per image."""
    made: list[bytes] = []
    for start in range(0, len(images.embeddings), AT_A_TIME):
        rows = np.arange(start, min(start + AT_A_TIME, len(images.embeddings)))
        pixels = images.pictures(rows)
        if pixels is None:
            return None
        for tile in shrink(displayable(pixels.numpy().transpose(0, 2, 3, 1)), THUMBNAIL):
            buffer = io.BytesIO()
            Image.fromarray(tile[..., 0] if tile.shape[-1] == 1 else tile).save(buffer, "PNG")
            made.append(buffer.getvalue())
    return made


def _found(images: RunImages) -> dict[str, Any]:
    """What ``viewfinder clean`` found of these images; nothing where its table is of others."""
    import pyarrow.parquet as pq

    file = images.run.folder / "clean" / "findings.parquet"
    if not file.is_file():
        return {}
    facts = {key: images.facts[key] for key in ("model_digest", "data_digest")}
    if not facts.items() <= metadata_of(file).items():
        say(f"note: {file} is of other images or another model, and is left out")
        return {}
    table = pq.read_table(file)
    return {n: table[n] for n in table.column_names if n not in ("path", "label", "class_name")}
