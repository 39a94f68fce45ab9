"""Figure 6 and Table 1 of CI-InfoNCE again: longer, with two views for all, and noisy attributes.

Planned after the runs of these with seeds from 0, so with other seeds. On 50 classes of
Tiny-ImageNet no arm comes near all there is; attributes are bits of a class's code of which each
image has some flipped, where Table 1 has bits of the labels; and predicting clusters, too, sees two
views of an image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from viewfinder.papers.ci_infonce import noisy, shared
from viewfinder.papers.ci_infonce.fig6 import BY_CONTRAST, BY_PREDICTION, TREE, name_of
from viewfinder.papers.claims import Claim, all_of, better, in_order, rising
from viewfinder.papers.desk import Cell, accuracies, experiment
from viewfinder.papers.result import Result, Results
from viewfinder.papers.selection import learning_rates

LEVELS = (3, 7, 12)  # the root is 1; 12 is the labels
LABELS = LEVELS[-1]
EPOCHS = 56  # four times those of the earlier pages
RATES = (0.003, 0.01)
PREPARE = "viewfinder.papers.ci_infonce.noisy:noisy_attributes"
INSTANCES = "instances (SimCLR)"
CI_Z, CE_Z = (f"noisy attributes, {kind}" for kind in (BY_CONTRAST, BY_PREDICTION))
PAIRED = {"views": {**shared.VIEWS, "count": 2}}  # cross-entropy has one view by itself


def cells(quick: bool = False) -> list[Cell]:
    """Labels, noisy attributes and instances, then the other levels; and the baselines."""
    data = shared.TINY_IMAGENET
    more: dict[str, Any] = {"epochs": EPOCHS}
    z = {"name": "attributes", "top_k": noisy.COLUMNS}
    bits = {"choices": learning_rates(*RATES), "prepare": PREPARE}
    made = [
        shared.ci_infonce(CI_Z, data, z, fields=bits, **more),
        shared.predicted(CE_Z, data, z, fields=bits, **PAIRED, **more),
        shared.simclr(INSTANCES, data, fields={"choices": learning_rates(*RATES)}, **more),
    ]
    for level in sorted(LEVELS, reverse=True):
        tree = {"name": "hierarchy", "level": level, "file": TREE}
        own = {"choices": learning_rates(*RATES), "turn": int(level != LABELS)}
        made += [
            shared.ci_infonce(name_of(BY_CONTRAST, level), data, tree, fields=own, **more),
            shared.predicted(
                name_of(BY_PREDICTION, level), data, tree, fields=own, **PAIRED, **more
            ),
        ]
    return [*made, *shared.baselines(data)]


def report(results: Results, out: Path, quick: bool) -> Result:
    """Top-1 of all arms in longer.png."""
    from viewfinder.papers.ci_infonce.plot import bars

    bars({"Tiny-ImageNet, 50 classes": accuracies(results)}, out / "longer.png")
    return Result(
        figures=["longer.png"],
        protocol={
            "views of an image": "two for all, cross-entropy included",
            "noisy attributes": f"{noisy.COLUMNS} bits of a random code of the class, each flipped "
            f"with chance {noisy.FLIPPED}",
        },
        notes=[
            "planned after the runs of Table 1 and Figure 6 with the seeds 0 to 2, so with other "
            "seeds",
            f"level {LABELS} is the labels, so its rows are SupCon and the supervised network",
        ],
    )


def claims(results: Results) -> list[Claim]:
    """The sentences of sections 4.4 and 4.5 that these runs can judge."""
    known = accuracies(results)
    contrast = {level: name_of(BY_CONTRAST, level) for level in LEVELS}
    levels = [better(known, contrast[x], name_of(BY_PREDICTION, x)) for x in LEVELS]
    return [
        Claim(
            "accuracy grows from instances to attribute clusters to labels",
            in_order(known, [contrast[LABELS], CI_Z, INSTANCES]),
        ),
        Claim("attribute clusters are contrasted better than predicted", better(known, CI_Z, CE_Z)),
        Claim("at every level clusters are contrasted better than predicted", all_of(levels)),
        Claim(
            "accuracy rises with the level",
            rising([(float(x), n, known[n]) for x, n in contrast.items()], over="level"),
        ),
        Claim(
            "instances are worse than every level",
            all_of([better(known, name, INSTANCES) for name in contrast.values()]),
        ),
    ]


def tables(results: Results) -> list[str]:
    """I(Z;T), H(Z|T) and accuracy of all rows."""
    return [shared.clusters_table("clusters", results)]


run, judge = experiment(cells, report, claims, tables, first=3)
