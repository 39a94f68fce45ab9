"""A page of pictures in rows, in the style of the report: one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from viewfinder import __version__
from viewfinder.core.errors import printable
from viewfinder.core.files import write_atomically
from viewfinder.report.sprites import displayable, fit, sheet

SIDE = 64
"""Longest side of a stored picture, px."""
SHOWN = 84
"""Longest side that a picture has on the page, about; its pixels stay square."""
BUDGET = 4_000_000
"""Bytes of all pictures, where that can be kept."""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""Styles and pictures inside the page; no script, and no network at all."""

MARK = b'<meta name="generator" content="viewfinder pictures">'
"""What each page of pictures contains, so that it is known as one."""

Mark = Literal["", "first", "other"]


@dataclass(frozen=True)
class Picture:
    """An image with what is said of it.

    tile    its position among the page's thumbnails
    name    its path or position, shown in full
    lines   further short texts below it
    mark    "first": the one that a row is about; "other": one that differs in what counts
    """

    tile: int
    name: str
    lines: Sequence[str] = ()
    mark: Mark = ""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, and rows of pictures; ``more`` says what is not shown, and where;
    ``drawing`` takes the place of the rows."""

    title: str
    hint: str
    rows: Sequence[Sequence[Picture]]
    more: str = ""
    missing: str = "None were found."
    drawing: Markup | None = None


@dataclass(frozen=True)
class PicturePage:
    """All that a page says.

    thumbnails  uint8 (n, H, W, C), what tiles point to; None where the data are no images
    facts       short texts by name, below the title
    """

    title: str
    lead: str
    sections: Sequence[Section]
    thumbnails: np.ndarray | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_pictures(page: PicturePage, path: Path) -> None:
    """Write the page to ``path``, all of it or nothing. Raises UserError where it cannot."""
    write_atomically(Path(path), render(page).encode("utf-8", "replace"))


def render(page: PicturePage) -> str:
    """The page as text. Names and texts of it are data there, never markup or code."""
    environment = Environment(
        loader=PackageLoader("viewfinder.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tiles = None
    if page.thumbnails is not None and page.thumbnails.size:
        tiles = sheet(page.thumbnails, max_side=SIDE, budget=BUDGET)
    styles = [(files("viewfinder.report") / "template" / n).read_text("utf-8") for n in STYLES]
    return environment.get_template("pictures.html").render(
        page=page,
        version=__version__,
        style=Markup("\n".join(styles)),
        policy=POLICY,
        sheet=tiles,
        scale=max(1, round(SHOWN / max(tiles.height, tiles.width))) if tiles else 1,
    )


STYLES = ("report.css", "pictures.css")


def thumbnails(pictures: Any, others: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Thumbnails uint8 (n, H, W, 1 or 3) of pictures (n, C, H, W), and behind them those of other
    pictures (C, h, w) of any shape, fitted to theirs."""
    own = displayable(np.asarray(pictures).transpose(0, 2, 3, 1))
    if not others:
        return own
    height, width = own.shape[1:3]
    channels = 3
    made = [own] + [fit(displayable(o.transpose(1, 2, 0)[None]), height, width) for o in others]
    return np.concatenate([np.repeat(m, channels // m.shape[-1], axis=-1) for m in made])
