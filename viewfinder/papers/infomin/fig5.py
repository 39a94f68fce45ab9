"""Figure 5 (and 13): the lower bound c of the area that a random resized crop takes."""

from __future__ import annotations

from collections.abc import Sequence

from viewfinder.papers.claims import Claim, better, reverse_u, rising
from viewfinder.papers.infomin.figure import IMAGENETTE, Curves, Figure, figure, numbered

CURVE = "crop bound"
BOUNDS = (0.02, 0.08, 0.2, 0.4, 0.6, 0.8, 1.0)
QUICK = (0.08, 0.4, 1.0)


def claims(found: Curves) -> Sequence[Claim]:
    """What the text says of the figure."""
    names = {x: name for x, name, _ in found.over(CURVE)}
    known = found.accuracy["own"]
    made = [
        Claim(
            "a smaller bound c leaves the views less in common",
            rising(found.informed(CURVE), over="c", unit="nats"),
        ),
        Claim("accuracy is a reverse U over c", reverse_u(found.over(CURVE))),
        Claim("accuracy is a reverse U over I_NCE", reverse_u(found.against(CURVE))),
    ]
    if 0.2 in names and 0.08 in names:
        made.append(Claim("c = 0.2 is better than 0.08", better(known, names[0.2], names[0.08])))
    if 0.2 in names and 0.8 in names:
        made.append(
            Claim(
                "c = 0.2 is better than crops of nearly the whole",
                better(known, names[0.2], names[0.8]),
            )
        )
    return made


FIGURE = Figure(
    levels=numbered(CURVE, {c: {"views": {"crop_scale": [c, 1.0]}} for c in BOUNDS}, QUICK),
    common={
        "method": "moco",
        "data": IMAGENETTE,
        "epochs": 28,
        "negatives": {"name": "queue", "size": 1024},
        "objective": {"name": "info-nce", "temperature": 0.15},
    },
    parameter="lower bound c of the crop's area",
    claims=claims,
    log=True,
    protocol={"method": "MoCo v2, queue 1024, MLP head, temperature 0.15 (the paper's with it)"},
    notes=["imagenette in place of ImageNet"],
)
run, judge = figure(FIGURE, "fig5")
