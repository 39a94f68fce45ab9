"""The same images on two maps side by side, as one drawing that needs no script."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

SIDE = 460
"""Width and height of one map, px."""
MARGIN = 14
COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis in five steps: they differ in brightness, so for any eye."""


def two_maps(
    places: np.ndarray, value: np.ndarray, titles: Sequence[str], marked: Sequence[int] = ()
) -> Markup:
    """An SVG drawing of places float (2, m, 2) on equal axes.

    value   float (m,) in 0..1, which is the colour of a point on both
    titles  of the two maps
    marked  points that are numbered from 1 and drawn larger
    """
    low, high = places.min((0, 1)), places.max((0, 1))
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-9)
    at = (places - (low + high) / 2) * scale + SIDE / 2
    at[..., 1] = SIDE - at[..., 1]
    step = np.clip((value * len(COLOURS)).astype(int), 0, len(COLOURS) - 1)
    drawn = [_one(points, step, marked, title) for points, title in zip(at, titles, strict=True)]
    maps = "".join(drawn) + _legend()
    return Markup(f'<div class="two-maps">{maps}</div>')


def _one(at: np.ndarray, step: np.ndarray, marked: Sequence[int], title: str) -> str:
    points = []
    for (x, y), colour in zip(at.round(1).tolist(), step.tolist(), strict=True):
        points.append(f'<circle cx="{x}" cy="{y}" r="2.6" fill="{COLOURS[colour]}"/>')
    for number, i in enumerate(marked, 1):
        x, y = at[i].round(1).tolist()
        points.append(
            f'<circle class="marked" cx="{x}" cy="{y}" r="5" fill="{COLOURS[step[i]]}"/>'
            f'<text x="{x + 7}" y="{y + 4}">{number}</text>'
        )
    name = escape(title)
    return (
        f'<figure><figcaption><bdi>{name}</bdi></figcaption><svg viewBox="0 0 {SIDE} {SIDE}" '
        f'role="img" aria-label="{name}">{"".join(points)}</svg></figure>'
    )


def _legend() -> str:
    edges = np.linspace(0, 1, len(COLOURS) + 1)
    keys = [
        f'<li><svg viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="5" '
        f'fill="{colour}"/></svg>{low:.1f} to {high:.1f}</li>'
        for colour, low, high in zip(COLOURS, edges, edges[1:], strict=False)
    ]
    return f'<ul class="legend">{"".join(keys)}</ul>'
