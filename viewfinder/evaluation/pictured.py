"""What the report of a run shows: views, what counted as the same, and all images on a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from viewfinder.core.randomness import numpy_generator, torch_generator
from viewfinder.data.convert import in_proportion
from viewfinder.data.source import Source, Split, sides_of
from viewfinder.data.stored import ArrayData, JoinedData
from viewfinder.evaluation.pixels import raw_name, raw_pixels
from viewfinder.evaluation.probing import untrained
from viewfinder.networks.frozen_features import extract
from viewfinder.recipes.recipe import Recipe
from viewfinder.runs.neighbour_graph import nearest_neighbours
from viewfinder.runs.run import Run, pick_device

if TYPE_CHECKING:
    from viewfinder.training.module import Pretraining

GALLERY_IMAGES = 12
MAPPED_IMAGES = 5000
"""Images of the map; of more, so many are drawn by the run's seed, and the page says so."""
RIVAL_NEIGHBOURS = 7
GROUPS, OF_A_GROUP = 10, 8
"""Groups of images that counted as the same, and images of each, that are shown."""


def save_artifacts(recipe: Recipe, source: Source, run: Run, module: Pretraining) -> None:
    """Store what the report shows of a run that was just trained."""
    split = source.splits[recipe.data.split]
    if split.data.modality == "images":
        save_gallery(recipe, split, run, module)
        if module.clusters is not None:
            save_groups(split, module.clusters.cpu().numpy(), run)
    save_map(recipe, source, run, module.encoder)


def of_different_classes(labels: np.ndarray | None, count: int, most: int) -> np.ndarray:
    """Up to ``most`` of ``count`` rows: the first of each class, then the second, ...; without
    labels at equal steps.

    >>> of_different_classes(np.array([1, 1, 1, 0, 0]), 5, 4).tolist()
    [0, 3, 1, 4]
    """
    if labels is None or not (labels >= 0).any():
        return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))
    order = np.argsort(labels, kind="stable")
    _, start, inverse = np.unique(labels[order], return_index=True, return_inverse=True)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count) - start[inverse]
    return np.lexsort((np.arange(count), place, labels < 0))[:most]


def save_gallery(recipe: Recipe, split: Split, run: Run, module: Pretraining) -> None:
    """The views as the network saw them, of images of different classes, with what a decoder makes
    of them."""
    from viewfinder.report.artifacts import save_views

    rows = of_different_classes(split.labels, len(split), GALLERY_IMAGES)
    images, sides = split.data.read(rows), sides_of(split.data, rows)
    maker = recipe.view_maker()
    views = maker(images, torch_generator(recipe.seed, "gallery"), sides)
    save_views(
        run.artifacts / "views.npz",
        in_proportion(images, sides),
        [maker.shown(view, i) for i, view in enumerate(views)],
        decoded=module.decoded(views[: maker.count]),
    )


def save_groups(split: Split, clusters: np.ndarray, run: Run) -> None:
    """Images of the largest groups that counted as the same, int64 (N,) or the first of (N, M);
    nothing where each image is its own."""
    from viewfinder.report.artifacts import save_same

    z = clusters if clusters.ndim == 1 else clusters[:, 0]
    values, sizes = np.unique(z, return_counts=True)
    largest = np.argsort(-sizes, kind="stable")[:GROUPS]
    if len(z) != len(split) or sizes.max() < 2:
        return
    rows = [np.flatnonzero(z == values[g])[:OF_A_GROUP] for g in largest]
    chosen = np.concatenate(rows)
    images = in_proportion(split.data.read(chosen), sides_of(split.data, chosen))
    group = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    sizes_shown = sizes[largest].tolist()
    save_same(run.artifacts / "same.npz", images, group, sizes_shown, len(values))


def save_map(recipe: Recipe, source: Source, run: Run, encoder: nn.Module) -> None:
    """Embeddings of all images of all splits, of more than 5,000 of so many, with thumbnails and
    each one's neighbours by the untrained encoder and by raw pixels."""
    from viewfinder.report.artifacts import save_embeddings

    splits = [*source.splits.values()]
    data = JoinedData([split.data for split in splits])
    total = len(data)
    n = min(MAPPED_IMAGES, total)
    chosen = np.sort(numpy_generator(recipe.seed, "map").choice(total, n, replace=False))
    part = ArrayData(data.read(chosen), data.modality, sides_of(data, chosen))
    device = pick_device(recipe.accelerator)
    view = recipe.view_maker().frozen
    vectors = extract(encoder, part, view, device=device)
    rivals = {
        "untrained": extract(untrained(recipe), part, view, device=device),
        raw_name(part.modality): raw_pixels(part, size=recipe.views.size),
    }
    word = part.modality.removesuffix("s")
    names = [
        str(split.paths[i]) if split.paths is not None else f"{split.name} {word} {i}"
        for split in splits
        for i in range(len(split))
    ]
    labels = np.concatenate([np.full(len(s), -1) if s.labels is None else s.labels for s in splits])
    drawn = "" if n == total else f"{n:,} of the {total:,} "
    save_embeddings(
        run.artifacts / "embeddings.npz",
        vectors,
        in_proportion(part.tensor, part.sides) if part.modality == "images" else None,
        labels=labels[chosen] if any(s.labels is not None for s in splits) else None,
        class_names=next((s.class_names for s in splits if s.class_names is not None), None),
        names=[names[i] for i in chosen],
        about=f"{drawn}images of {recipe.data.source}: {', '.join(s.name for s in splits)}",
        splits=np.repeat([s.name for s in splits], [*map(len, splits)])[chosen].tolist(),
        rivals={
            name: nearest_neighbours(features.cpu().numpy(), RIVAL_NEIGHBOURS).near
            for name, features in rivals.items()
        }
        if n > 1
        else {},
        total=total,
    )
