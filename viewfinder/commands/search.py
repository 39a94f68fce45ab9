"""``viewfinder search``: the images of a run that are most like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viewfinder.core.console import console, say
from viewfinder.core.outputs import check_out
from viewfinder.evaluation.run_images import RunImages, run_images
from viewfinder.evaluation.search import Found, Query, search
from viewfinder.report.pictures import (
    MARK,
    Picture,
    PicturePage,
    Section,
    thumbnails,
    write_pictures,
)
from viewfinder.runs.run import Run

ON_PAGE = 50
"""Queries that a page shows, at most."""


def find(
    run: Run,
    queries: Sequence[Query],
    *,
    top: int = 20,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    out: Path | None = None,
) -> list[Found]:
    """What ``search`` finds among all images of a run, or of the source ``data``; with ``out`` a
    page of pictures is written there too. Raises UserError as ``search`` and ``run_images`` do."""
    if out is not None:
        check_out(out, (MARK, b"<title>Search in "), endings=(".html", ".htm"))
    images = run_images(run, data, overrides)
    found = search(images, queries, top)
    if out is not None:
        write_pictures(_page(images, found), out)
    return found


def show(found: Sequence[Found]) -> None:
    """Print a table for each query."""
    from rich.table import Table
    from rich.text import Text

    for one in found:
        named = f", {one.class_name}" if one.class_name else ""
        say(f"like {one.query}{named}:")
        table = Table()
        for column in ("", "similarity"):
            table.add_column(column, justify="right")
        classes = any(match.class_name for match in one.matches)
        for column in (*(("class",) if classes else ()), "split", "image"):
            table.add_column(column, overflow="fold")
        for rank, match in enumerate(one.matches, start=1):
            cells = [str(rank), f"{match.similarity:.3f}"]
            cells += [*((match.class_name,) if classes else ()), match.split, match.name]
            table.add_row(*map(Text, cells))
        console().print(table)


def _page(images: RunImages, found: Sequence[Found]) -> PicturePage:
    shown = found[:ON_PAGE]
    queried = {f.row for f in shown if f.row is not None}
    rows = sorted(queried | {m.row for f in shown for m in f.matches})
    tile_of = {row: tile for tile, row in enumerate(rows)}
    pictures = images.pictures(np.array(rows))
    others = [f.picture for f in shown if f.picture is not None]
    sections: list[Section] = []
    for one in shown:
        tile = len(rows) + sum(f.picture is not None for f in shown[: len(sections)])
        first = Picture(
            tile if one.row is None else tile_of[one.row],
            one.query,
            [one.class_name] if one.class_name else [],
            "first",
        )
        near = [
            Picture(
                tile_of[match.row],
                match.name,
                [f"{match.similarity:.3f}", *([match.class_name] if match.class_name else [])],
                "other" if one.class_name and match.class_name not in (one.class_name, "") else "",
            )
            for match in one.matches
        ]
        sections.append(Section(f"Like {one.query}", "", [[first, *near]]))
    count, known = len(images.embeddings), images.source.spec
    more = f" The first {ON_PAGE} of {len(found)} queries." if len(found) > ON_PAGE else ""
    return PicturePage(
        f"Search in {known}",
        f"The nearest of {count:,} images by cosine similarity of the embeddings of "
        f"{images.run.folder}, the nearest first; all were compared.{more}",
        sections,
        None if pictures is None else thumbnails(pictures.numpy(), others),
    )
