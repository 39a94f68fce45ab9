"""Figure 12, and section C.3: InfoMin's augmentation step by step, the jigsaw, and the MLP head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from viewfinder.papers.claims import Claim, better, rising
from viewfinder.papers.desk import Overrides
from viewfinder.papers.infomin.figure import IMAGENETTE, Curves, Figure, Level, figure

CURVE = "steps"
CROP: list[Any] = [{"crop": [0.2, 1.0]}, "flip"]
BLUR, RA, GREY = {"blur": 0.5}, "randaugment", {"grey": 0.2}
LINEAR: Overrides = {"objective": {"temperature": 0.07}, "head": {"projector": [128]}}
MLP: Overrides = {"objective": {"temperature": 0.15}, "head": {"projector": [128, 128]}}
JIGSAW: Overrides = {"split": {"jigsaw": {"count": 2, "weight": 0.5}}}


def _jitter(x: float) -> dict[str, Any]:
    return {"jitter": {"strength": [0.8 * x, 0.8 * x, 0.8 * x, 0.2 * x], "p": 0.8}}


STEPS: Mapping[str, list[Any]] = {
    "crop": CROP,
    "CJ(0.25)": [*CROP, _jitter(0.25)],
    "CJ(0.5)": [*CROP, _jitter(0.5)],
    "CJ(1.0)": [*CROP, _jitter(1.0)],
    "CJ-Blur": [*CROP, _jitter(1.0), BLUR],
    "RA": [*CROP, RA],
    "RA-CJ-Blur": [*CROP, _jitter(1.0), BLUR, RA, GREY],
}
LAST = "RA-CJ-Blur"
FURTHER = {"with jigsaw": LINEAR, "with jigsaw and MLP": MLP}
QUICK = ("crop", "CJ(1.0)", LAST, *FURTHER)


def levels() -> list[Level]:
    """The steps with a linear head, then the jigsaw, then the MLP."""
    from viewfinder.recipes.recipe import merge

    made = [
        Level(CURVE, name, float(i), {**LINEAR, "views": {"steps": [*steps, "normalise"]}},
              name in QUICK)
        for i, (name, steps) in enumerate(STEPS.items())
    ]  # fmt: skip
    whole = {"views": {"steps": [*STEPS[LAST], "normalise"], **JIGSAW}}
    for name, head in FURTHER.items():
        recipe = merge(whole, head, {"objective": {"pairs": "to-last"}})
        made.append(Level(CURVE, name, float(len(made)), recipe, True))
    return made


def claims(found: Curves) -> Sequence[Claim]:
    """What the text says: 63.6 to 65.9 with the jigsaw, to 67.3 with the MLP."""
    known = found.accuracy["own"]
    without = [point for point in found.against(CURVE) if "jigsaw" not in point[1]]
    jigsaw, mlp = (f"{CURVE}: {name}" for name in FURTHER)
    return [
        Claim("accuracy improves as I_NCE decreases", rising(without, over="nat", sign=-1)),
        Claim("all steps are better than the crop alone",
              better(known, f"{CURVE}: {LAST}", f"{CURVE}: crop")),
        Claim("the jigsaw improves on that", better(known, jigsaw, f"{CURVE}: {LAST}")),
        Claim("the MLP head improves on that", better(known, mlp, jigsaw)),
    ]  # fmt: skip


FIGURE = Figure(
    levels=levels(),
    common={
        "method": "moco",
        "data": IMAGENETTE,
        "negatives": {"name": "queue", "size": 1024},
        "objective": {"name": "info-nce"},
        "head": {"batch_norm": False},
    },
    parameter="augmentation",
    claims=claims,
    names=True,
    protocol={"method": "MoCo v2, queue 1024; linear head at temperature 0.07, MLP at 0.15"},
    notes=[
        "imagenette in place of ImageNet; pieces of the jigsaw are 7 px here, the paper's 64",
        "with the jigsaw I_NCE is that of the two whole views",
    ],
)
run, judge = figure(FIGURE, "fig12")
