"""Figures 13 and 14: the strength x of colour jitter with both heads, and each operation alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.papers.claims import Claim, reverse_u, rising
from viewfinder.papers.desk import Overrides
from viewfinder.papers.infomin.figure import IMAGENETTE, Curves, Figure, Level, figure, numbered

X = (0.125, 0.5, 1.0, 1.5, 2.5)
FULL = (0.8, 0.8, 0.8, 0.2)  # at x = 1, as SimCLR has it
HEADS: Mapping[str, Overrides] = {
    "jitter, MLP head": {"objective": {"temperature": 0.15}},
    "jitter, linear head": {"objective": {"temperature": 0.07}, "head": {"projector": [128]}},
}
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
# each operation at its strength with no other beside it but the flip
ALONE: Mapping[str, Any] = {
    "crop alone": {"crop": {"scale": [0.2, 1.0]}},
    "jitter alone": {"jitter": {"strength": list(FULL)}},
    "grey alone": {"grey": 0.5},
    "blur alone": {"blur": {"p": 1.0}},
    "RandAugment alone": "randaugment",
}


def _jitter(x: float) -> Overrides:
    return {"views": {"jitter": [x * value for value in FULL], "jitter_p": 0.8}}


def _alone(step: Any, strength: float) -> Overrides:
    name = step if isinstance(step, str) else next(iter(step))
    return {"views": {"steps": [step, "flip", "normalise"], "strength": {name: strength}}}


def levels() -> list[Level]:
    """Jitter with both heads, and each operation at four strengths."""
    from viewfinder.recipes.recipe import merge

    made = []
    for curve, head in HEADS.items():
        values = {x: merge(_jitter(x), head) for x in X}
        made += numbered(curve, values, (0.125, 1.0, 2.5) if curve == next(iter(HEADS)) else ())
    for curve, step in ALONE.items():
        made += numbered(curve, {s: _alone(step, s) for s in STRENGTHS}, (0.0, 1.0))
    return made


def claims(found: Curves) -> Sequence[Claim]:
    """What the text says of the figures, and what the principle says of an operation alone."""
    made = []
    for curve in HEADS:
        if len(found.over(curve)) >= 3:
            made += [
                Claim(f"{curve}: accuracy is a reverse U over x", reverse_u(found.over(curve))),
                Claim(
                    f"{curve}: stronger jitter leaves the views less in common",
                    rising(found.informed(curve), over="x", sign=-1, unit="nats"),
                ),
            ]
    for curve in ALONE:
        if len(found.over(curve)) >= 3:
            made.append(
                Claim(
                    f"{curve}: a stronger operation leaves the views less in common",
                    rising(found.informed(curve), over="strength", sign=-1, unit="nats"),
                )
            )
    return made


FIGURE = Figure(
    levels=levels(),
    common={
        "method": "moco",
        "data": IMAGENETTE,
        "epochs": 10,
        "views": {"crop_scale": [0.2, 1.0]},
        "negatives": {"name": "queue", "size": 1024},
        "objective": {"name": "info-nce", "temperature": 0.15},
    },
    parameter="strength",
    claims=claims,
    protocol={"method": "MoCo v2, queue 1024; the temperature is 0.15 with the MLP head and 0.07 "
              "with the linear one, as in the paper"},
    notes=[
        "imagenette in place of ImageNet",
        "crop bound c: see infomin/fig5",
        "an operation alone: at strength 0 two views differ in the flip alone",
    ],
)  # fmt: skip
run, judge = figure(FIGURE, "fig13-14")
