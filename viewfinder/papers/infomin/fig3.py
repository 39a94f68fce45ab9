"""Figure 3: patches of photographs, so many pixels apart."""

from __future__ import annotations

from collections.abc import Sequence

from viewfinder.papers.claims import Claim, reverse_u, rising
from viewfinder.papers.image_sets import ROOT
from viewfinder.papers.infomin.figure import CIFAR, IMAGENETTE, Curves, Figure, figure, numbered

CURVE = "offset"
PATCH, REACH = 32, 144
OFFSETS = (0, 8, 16, 32, 64, 96, 144)
QUICK = (0, 32, 144)
READ = {"CIFAR-10": CIFAR, "imagenette": IMAGENETTE}


def claims(found: Curves) -> Sequence[Claim]:
    """What the caption says, on both sets."""
    made = [
        Claim(
            "patches further apart share less",
            rising(found.informed(CURVE), over="px", sign=-1, unit="nats"),
        )
    ]
    return made + [
        Claim(
            f"{read}: accuracy is a reverse U over the offset", reverse_u(found.over(CURVE, read))
        )
        for read in READ
    ]


def _views(offset: int) -> dict[str, object]:
    return {"views": {"split": {"patches": {"offset": offset, "reach": REACH, "size": PATCH}}}}


FIGURE = Figure(
    levels=numbered(CURVE, {d: _views(d) for d in OFFSETS}, QUICK),
    common={
        "method": "simclr",
        "data": {"source": f"npz:{ROOT}/camvid_half"},
        "views": {"size": PATCH, "steps": ["flip", "normalise"]},
        "batch_size": 92,  # 184 photographs
        "epochs": 300,
    },
    parameter="offset, px",
    claims=claims,
    transfer=READ,
    own=False,
    protocol={
        "images of train": "184 photographs of 240x180 px (CamVid)",
        "views": f"patches of {PATCH} px at (x, y) and (x + d, y + d); (x, y) as for d = {REACH}",
        "batch size": 92,
        "method": "SimCLR",
    },
    notes=[
        "184 street scenes in place of 800 photographs: few, and of one kind",
        "an offset of 0 shows the same patch twice except for the flip",
    ],
)
run, judge = figure(FIGURE, "fig3")
