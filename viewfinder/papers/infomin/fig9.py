"""Figure 9: views of low and of high frequencies, parted at sigma."""

from __future__ import annotations

from collections.abc import Sequence

from viewfinder.papers.claims import Claim, reverse_u, rising
from viewfinder.papers.infomin.figure import IMAGENETTE, Curves, Figure, figure, numbered

CURVE = "sigma"
MOST = 0.7
"""Where the paper finds the most I_NCE, at 64 px."""
SIGMAS = (0.3, 0.45, 0.7, 1.0, 1.5, 2.5, 4.0)
QUICK = (0.3, 0.7, 1.5, 4.0)


def claims(found: Curves) -> Sequence[Claim]:
    """What the caption says: one most of information, and two trajectories from it."""
    above = found.over(CURVE, among=lambda sigma: sigma >= MOST)
    below = found.over(CURVE, among=lambda sigma: sigma <= MOST)
    made = [
        Claim(
            "I_NCE rises to a sigma within and falls from it",
            reverse_u(found.informed(CURVE), unit="nats"),
        ),
        Claim(f"from sigma {MOST:g} on accuracy first improves, then drops", reverse_u(above)),
    ]
    if len(below) >= 3:
        made.append(
            Claim(
                f"below sigma {MOST:g} accuracy keeps diminishing",
                rising(below, over="px of sigma"),
            )
        )
    return made


FIGURE = Figure(
    levels=numbered(CURVE, {s: {"views": {"split": {"frequency": s}}} for s in SIGMAS}, QUICK),
    common={
        "method": "cmc",
        "data": IMAGENETTE,
        "views": {"steps": [{"crop": [0.2, 1.0]}, "flip", "normalise"]},
        "negatives": {"name": "bank", "size": 1024, "alpha": 0.5},
    },
    parameter="sigma, px",
    claims=claims,
    log=True,
    protocol={"method": "CMC with a bank, 1024 negatives, temperature 0.07; two networks, whose "
              "features are read side by side"},
    notes=["imagenette in place of STL-10; sigma is in px, and views are 24 px where the paper's "
           "are 64: its 0.7 and 1.0 would be 0.26 and 0.38 at the same share of the side"],
)  # fmt: skip
run, judge = figure(FIGURE, "fig9")
