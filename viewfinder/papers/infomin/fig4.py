"""Figure 4: colour spaces, the first channel against the other two."""

from __future__ import annotations

from collections.abc import Sequence

from viewfinder.papers.claims import Claim, better, rising
from viewfinder.papers.infomin.figure import CIFAR, IMAGENETTE, Curves, Figure, Level, figure

SETS = {"imagenette": IMAGENETTE, "CIFAR-10": CIFAR}
SPACES = ("rgb", "xyz", "hsv", "ycbcr", "yiq", "ydbdr", "lab")
QUICK = ("rgb", "ydbdr", "lab")


def levels() -> list[Level]:
    """Each space on each set."""
    return [
        Level(
            name,
            space,
            float(i),
            {"data": data, "views": {"steps": [{"crop": [0.2, 1.0]}, "flip", space]}},
            space in QUICK,
        )
        for name, data in SETS.items()
        for i, space in enumerate(SPACES)
    ]


def claims(found: Curves) -> Sequence[Claim]:
    """What the text says: the less the channels share, the better; YDbDr above RGB."""
    made = []
    for name in SETS:
        made += [
            Claim(
                f"{name}: accuracy improves as I_NCE decreases",
                rising(found.against(name), over="nat", sign=-1),
            ),
            Claim(
                f"{name}: YDbDr is better than RGB",
                better(found.accuracy["own"], f"{name}: ydbdr", f"{name}: rgb"),
            ),
        ]
    return made


FIGURE = Figure(
    levels=levels(),
    common={
        "method": "cmc",
        "views": {"split": {"channels": 1}},
        "negatives": {"name": "bank", "size": 1024, "alpha": 0.5},
    },
    parameter="colour space",
    claims=claims,
    names=True,
    protocol={"method": "CMC with a bank, 1024 negatives, temperature 0.07; no grey, no jitter"},
    notes=[
        "classification alone, on imagenette and CIFAR-10 in place of STL-10",
        "the slope over I_NCE is that of its means over seeds",
    ],
)
run, judge = figure(FIGURE, "fig4")
