"""The binary attributes of ``shapes``: side information of every usefulness.

Some are facts of the class, exact or misread with a known probability; some are facts of the image
that say nothing of the class; some are tags that mean nothing. Their entropies go from 1 bit to
less than 0.1. As with people's tags, the most informative columns tend to have high entropy, but
entropy alone does not tell a careful tag from a hasty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from viewfinder.data.shapes.factors import (
    BACKGROUNDS,
    COLOURS,
    DISTRACTORS,
    ROTATION_RANGE,
    SIZE_RANGE,
    TEXTURES,
    Factors,
    coin,
)
from viewfinder.data.shapes.tree import CLASS_PATHS
from viewfinder.data.source import Attributes

Rule = Callable[[Factors], np.ndarray]


@dataclass(frozen=True)
class Attribute:
    """One yes-or-no column.

    name    as in ``Attributes.names``
    about   "class": a function of the label; "image": of other facts, independent of the label;
            "nothing": of no fact at all
    rule    the true answer for n images, bool (n,)
    flip    probability with which the recorded answer is the opposite, independently per image
    """

    name: str
    about: Literal["class", "image", "nothing"]
    rule: Rule
    flip: float = 0.0


def _class_in(names: str) -> Rule:
    """Whether one of the comma-separated names is the class or lies above it in the tree."""
    wanted = set(names.split(", "))
    known = np.array([not wanted.isdisjoint(path) for path in CLASS_PATHS])
    return lambda f: known[f.label]


def _one_of(field: str, names: Sequence[str], *wanted: str) -> Rule:
    numbers = [names.index(name) for name in wanted]
    return lambda f: np.isin(getattr(f, field), numbers)


def _never(f: Factors) -> np.ndarray:
    return np.zeros(len(f), bool)


_convex, _elongated = _class_in("blob, convex"), _class_in("ellipse, drop, rectangle, kite")
_large = SIZE_RANGE[0] + 0.6 * (SIZE_RANGE[1] - SIZE_RANGE[0])

ATTRIBUTES: Sequence[Attribute] = (
    Attribute("curved", "class", _class_in("curved")),
    Attribute("convex", "class", _convex),
    Attribute(  # two or more axes of mirror symmetry
        "many_axes",
        "class",
        _class_in("oval, ring, clover, right-angled, triangle, star, plus"),
    ),
    Attribute("right_angles", "class", _class_in("half disc, heart, right-angled, arrow, barred")),
    Attribute("sharp_tip", "class", _class_in("drop, crescent, tapered, pointed")),
    Attribute("elongated", "class", _elongated),
    Attribute("quarter_turn", "class", _class_in("circle, ring, square, plus")),
    Attribute("lobed", "class", _class_in("lobed")),
    Attribute("hole", "class", _class_in("ring")),
    Attribute("curved_at_a_glance", "class", _class_in("curved"), 0.1),
    Attribute("convex_at_a_glance", "class", _convex, 0.2),
    Attribute("elongated_at_a_glance", "class", _elongated, 0.15),
    Attribute("barred_at_a_glance", "class", _class_in("barred"), 0.05),
    Attribute("large", "image", lambda f: f.size > _large),
    Attribute("left", "image", lambda f: f.position[:, 0] < 0.45),
    Attribute("high", "image", lambda f: f.position[:, 1] < 0.4),
    Attribute("turned_left", "image", lambda f: f.rotation > 0.3 * ROTATION_RANGE[1]),
    Attribute("warm", "image", _one_of("colour", COLOURS, "red", "yellow")),
    Attribute("striped", "image", _one_of("texture", TEXTURES, "striped")),
    Attribute("textured", "image", lambda f: f.texture != TEXTURES.index("plain")),
    Attribute("plain_ground", "image", _one_of("background", BACKGROUNDS, "plain")),
    Attribute("lonely", "image", lambda f: f.distractor < 0),
    Attribute("disc_beside", "image", _one_of("distractor", DISTRACTORS, "circle")),
    Attribute("coin", "nothing", _never, 0.3),
    Attribute("checked_by_hand", "nothing", _never, 0.97),
    Attribute("reported", "nothing", _never, 0.01),
)


def draw_attributes(factors: Factors, key: int, index: np.ndarray) -> Attributes:
    """The table of all ATTRIBUTES for images ``index`` (n,): values 0 (no) or 1 (yes)."""
    values = np.empty((len(factors), len(ATTRIBUTES)), np.int64)
    for column, attribute in enumerate(ATTRIBUTES):
        misread = coin(key, index, column) < attribute.flip
        values[:, column] = attribute.rule(factors) ^ misread
    names = [attribute.name for attribute in ATTRIBUTES]
    return Attributes(values, names, dict.fromkeys(names, ("no", "yes")))
