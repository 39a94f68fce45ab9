"""The report as one HTML file that opens offline and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from viewfinder import __version__
from viewfinder.core.errors import printable
from viewfinder.core.files import write_atomically
from viewfinder.report import sections
from viewfinder.report.artifacts import thumbnail
from viewfinder.report.confused import confusions, look_alikes, strangers, votes, weakest
from viewfinder.report.content import PARTS, Embedded, Gallery, ReportContent, Same, neighbours
from viewfinder.report.palette import colours
from viewfinder.report.projection import project
from viewfinder.report.sprites import Sheet, displayable, encode, sheet

NEIGHBOURS = 7
GALLERY_IMAGES = 48


def write_report(content: ReportContent, path: Path) -> None:
    """Write the page to ``path``, all of it or nothing. Raises UserError where it cannot.

    >>> write_report(gather(run), run / "report.html")  # doctest: +SKIP
    """
    # A file name may hold bytes that are no text; they must not keep the page from being written.
    write_atomically(Path(path), render(content).encode("utf-8", "replace"))


def render(content: ReportContent) -> str:
    """The page as text. Names and texts of the content are data in it, never markup or code."""
    environment = Environment(
        loader=PackageLoader("viewfinder.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    scripts = [_plotly(), _template("report.js")]
    curves = sections.curves(content.history)
    embedded = _embedded(content)
    return environment.get_template("report.html").render(
        content=content,
        version=__version__,
        parts=PARTS,
        style=Markup(_template("report.css")),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
        groups=sections.score_groups(content),
        rows=sections.score_rows(content.scores),
        headings=sections.score_headings(content.scores),
        curves=curves,
        usage=sections.usage(content.usage),
        gallery=_gallery(content.gallery),
        same=_same(content.same),
        embedded=embedded,
        data={
            "curves": [{k: c[k] for k in ("x", "y", "from_zero")} for c in curves],
            "map": embedded["data"] if embedded else None,
        },
    )


def _plain(value: Any) -> Any:
    """Text without control characters, which HTML does not allow; markup is our own and stays."""
    return printable(value) if type(value) is str else value


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().replace("\r\n", "\n").replace("</script", "<\\/script")


def _template(name: str) -> str:
    return (files("viewfinder.report") / "template" / name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> str:
    """A content security policy: these scripts, images inside the page, and no network at all."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _gallery(gallery: Gallery | None) -> dict[str, Any] | None:
    if gallery is None or not gallery.images.size:
        return None
    columns, height, width = gallery.images.shape[1:4]
    shown = displayable(gallery.images[: max(1, GALLERY_IMAGES // columns)])
    return {
        "scale": max(1, round(96 / max(height, width))),
        "height": height,
        "width": width,
        "notes": sections.gallery_notes(gallery),
        "names": gallery.names,
        "rows": [[encode(image, budget=25_000) for image in row] for row in shown],
    }


def _same(same: Same | None) -> dict[str, Any] | None:
    """Groups that counted as the same, each with its pictures and its size in all."""
    if same is None or not len(same.images):
        return None
    height, width = same.images.shape[1:3]
    return {
        "groups": same.groups,
        "scale": max(1, round(56 / max(height, width))),
        "height": height,
        "width": width,
        "rows": [
            {
                "size": size,
                "images": [encode(image, budget=25_000) for image in same.images[same.group == g]],
            }
            for g, size in enumerate(same.sizes)
        ],
    }


def _embedded(content: ReportContent) -> dict[str, Any] | None:
    embedded = content.embedded
    if embedded is None or not len(embedded):
        return None
    projection = project(embedded.vectors, content.seed)
    near, similarity = neighbours(embedded.vectors, NEIGHBOURS)
    tiles = None
    if embedded.thumbnails is not None and embedded.thumbnails.size:
        tiles = sheet(embedded.thumbnails, max_side=thumbnail(len(embedded)))
    near_by = {"trained": near} if embedded.rivals else {}
    near_by |= {name: other[:, :NEIGHBOURS] for name, other in embedded.rivals.items()}
    agree = {name: sections.agreement(embedded, other) for name, other in near_by.items()}
    voted = votes(embedded, near)
    known = voted is not None and embedded.labels is not None and (embedded.labels >= 0).any()
    return {
        "rivals": [
            {"name": name, "share": share[0]} for name, share in agree.items() if share is not None
        ],
        "weakest": [
            {"name": embedded.class_name(c), "share": share, "count": count}
            for c, share, count in (weakest(embedded, voted) if known else ())  # type: ignore[arg-type]
        ],
        "confusions": [
            {
                "label": embedded.class_name(found.label),
                "taken_for": embedded.class_name(found.taken_for),
                "count": len(found.rows),
                "images": [
                    {
                        "corner": tiles.corner(i) if tiles else (0, 0),
                        "name": embedded.name(i),
                    }
                    for i in found.rows[:NEIGHBOURS]
                ],
            }
            for found in (confusions(embedded, voted) if known else ())  # type: ignore[arg-type]
        ],
        "look_alikes": look_alikes(embedded, near),
        "strangers": strangers(similarity),
        "how": projection.how,
        "count": len(embedded),
        "about": embedded.about,
        "agreement": sections.agreement(embedded, near),
        "k": near.shape[1],
        "sheet": tiles,
        "small": _scale(tiles, 56),
        "labelled": embedded.labels is not None,
        "rows": [
            {
                "own": _neighbour_row(embedded, tiles, i, near[i], similarity[i]),
                "rivals": [
                    {
                        "name": name,
                        "row": _neighbour_row(embedded, tiles, i, other[i][:NEIGHBOURS], None)[1:],
                    }
                    for name, other in embedded.rivals.items()
                ],
            }
            for i in sections.queries(embedded)
        ],
        "data": _map(embedded, projection.places, near, similarity, tiles),
    }


def _scale(tiles: Sheet | None, target: int) -> int:
    """How much to enlarge a tile to about ``target`` px: whole numbers keep its pixels square."""
    return max(1, round(target / max(tiles.height, tiles.width))) if tiles else 1


def _neighbour_row(
    embedded: Embedded,
    tiles: Sheet | None,
    query: int,
    near: np.ndarray,
    similarity: np.ndarray | None,
) -> list[dict[str, Any]]:
    """The query, then its neighbours, nearest first."""
    labels = embedded.labels
    row = []
    values = [None] * len(near) if similarity is None else similarity.tolist()
    for i, value in zip([query, *near.tolist()], [None, *values], strict=True):
        label = None if labels is None else embedded.class_name(int(labels[i]))
        row.append(
            {
                "corner": tiles.corner(i) if tiles else (0, 0),
                "label": label,
                "name": embedded.name(i),
                "similarity": value,
                "other": labels is not None and bool(labels[i] != labels[query]),
            }
        )
    return row


def _map(
    embedded: Embedded,
    places: np.ndarray,
    near: np.ndarray,
    similarity: np.ndarray,
    tiles: Sheet | None,
) -> dict[str, Any]:
    """What the script needs to draw the map, plain lists."""
    classes, label = [], None
    if embedded.labels is not None:
        found, label = np.unique(embedded.labels, return_inverse=True)
        classes = [{"name": embedded.class_name(int(c)), "known": bool(c >= 0)} for c in found]
    known = sum(bool(c["known"]) for c in classes)
    return {
        "colours": colours(known),
        "splits": [*embedded.splits] or None,
        "x": np.round(places[:, 0].astype(float), 3).tolist(),
        "y": np.round(places[:, 1].astype(float), 3).tolist(),
        "label": None if label is None else label.tolist(),
        "classes": classes,
        "names": [embedded.name(i) for i in range(len(embedded))],
        "near": near.tolist(),
        "similarity": np.round(similarity.astype(float), 3).tolist(),
        "corners": [tiles.corner(i) for i in range(len(embedded))] if tiles else None,
        "small": _scale(tiles, 56),
        "big": _scale(tiles, 128),
    }
