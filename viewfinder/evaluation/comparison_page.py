"""The page of a comparison: both maps, and the images whose neighbours changed most."""

from __future__ import annotations

import numpy as np

from viewfinder.evaluation.comparison import Comparison
from viewfinder.evaluation.run_images import RunImages
from viewfinder.report.pictures import Picture, PicturePage, Section, thumbnails
from viewfinder.report.two_maps import two_maps

CHANGED = 20
"""Images on the page."""
BESIDE = 8
"""Neighbours that are shown of each, at most."""


def page_of(found: Comparison, first: RunImages, second: RunImages) -> PicturePage:
    """A map of both runs, and of the images that changed most the neighbours before and after; a
    neighbour that is not among those of the other run is marked."""
    of, rows = first.embeddings, found.rows[0]
    shown = found.changed[:CHANGED]
    beside = found.near[:, shown, :BESIDE]
    needed = np.unique(np.concatenate([shown, beside.ravel()]))
    tile = {int(i): n for n, i in enumerate(needed)}
    pictures = first.pictures(rows[needed])

    def picture(i: int, line: str, mark: str) -> Picture:
        row = int(rows[i])
        lines = [text for text in (line, of.class_name(row)) if text]
        return Picture(tile[i], of.name(row), lines, mark)  # type: ignore[arg-type]

    lists = []
    for number, i in enumerate(shown.tolist(), 1):
        for run, when in enumerate(("before", "after")):
            other = set(found.near[1 - run, i].tolist())
            told = f"{number} {when}" + ("" if run else f", overlap {found.overlap[i]:.2f}")
            near = found.near[run, i, :BESIDE].tolist()
            lists.append(
                [
                    picture(i, told, "first"),
                    *(picture(j, "", "" if j in other else "other") for j in near),
                ]
            )
    places, on_map, how = found.map(first.recipe.seed)
    marked = [int(np.flatnonzero(places == i)[0]) for i in shown if i in places]
    drawing = two_maps(
        on_map, found.overlap[places], (str(first.run.folder), str(second.run.folder)), marked
    )
    k = found.near.shape[2]
    return PicturePage(
        f"{first.run.folder.name} and {second.run.folder.name}",
        f"{len(found):,} images of {first.source.spec} in two runs. The overlap of an image is the "
        f"share of its {k} nearest neighbours before and after, together, that are the same ones "
        "(Jaccard): 1 where nothing changed.",
        [
            Section(
                "Before and after",
                f"{len(places):,} of {len(found):,} images: {how}. Coloured by overlap; those that "
                "changed most are numbered as below, where the map has them.",
                [],
                drawing=drawing,
            ),
            Section(
                "Whose neighbours changed most",
                "The nearest first; dashed are those that the other run does not have there.",
                lists,
            ),
        ],
        None if pictures is None else thumbnails(pictures.numpy()),
        {
            "mean overlap": f"{found.mean:.3f}",
            "by chance": f"{found.chance:.3f}",
            "cosine, aligned": f"{found.cosine:.3f}",
        },
        [
            f"{count:,} images of one run alone were left out."
            for count in [sum(found.missing)]
            if count
        ],
    )
