"""The experiments of RC and LBE in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

_SUFFICIENT = (
    "Wang, Guo, Deng, Lu 2022, Rethinking Minimal Sufficient Representation in Contrastive "
    "Learning, and the report of 2023 that repeats it"
)
# in order of value: the cheapest source first, and ImageNet last
_SUFFICIENT_TABLE = (
    *(
        f"minimal-sufficient/{data}-{method}{regularizer}"
        for data in ("cifar10", "stl10")
        for method in ("simclr", "byol", "barlow-twins")
        for regularizer in ("", "-rc", "-lbe")
    ),
    *(f"minimal-sufficient/imagenet-simclr{regularizer}" for regularizer in ("", "-rc", "-lbe")),
)
_SUFFICIENT_SIMCLR = tuple(
    f"minimal-sufficient/cifar10-simclr{regularizer}" for regularizer in ("", "-rc", "-lbe")
)

MINIMAL_SUFFICIENT = (
    Experiment(
        name="minimal-sufficient/table1",
        paper=_SUFFICIENT,
        item="Table 1",
        claim="RC and LBE make the features of SimCLR, BYOL and Barlow Twins better for other "
        "sets, and no worse for the one they are trained on.",
        run="viewfinder.papers.minimal_sufficient.table1:run",
        minutes=20,
        quick_minutes=2,
        recipes=_SUFFICIENT_TABLE,
        on_gpu=True,
    ),
    Experiment(
        name="minimal-sufficient/second-view",
        paper=_SUFFICIENT,
        item="Table 1, and a grey second view",
        claim="RC and LBE keep what only one view shows, not merely features of a larger scale.",
        run="viewfinder.papers.minimal_sufficient.second_view:run",
        minutes=80,
        quick_minutes=2,
        recipes=_SUFFICIENT_SIMCLR,
        on_gpu=True,
        seeds=5,
    ),
    Experiment(
        name="minimal-sufficient/factors",
        paper=_SUFFICIENT,
        item="Theorem 1",
        claim="What only one of two views shows is lost by contrast, and kept by RC and LBE.",
        run="viewfinder.papers.minimal_sufficient.factors:run",
        minutes=13,
        quick_minutes=0.5,
        on_gpu=True,
    ),
    Experiment(
        name="minimal-sufficient/lambda",
        paper=_SUFFICIENT,
        item="Figure 4",
        claim="Over the weight of RC and LBE accuracy rises, then falls.",
        run="viewfinder.papers.minimal_sufficient.weights:run",
        minutes=7,
        quick_minutes=1,
        recipes=_SUFFICIENT_SIMCLR,
        on_gpu=True,
    ),
    Experiment(
        name="minimal-sufficient/epochs",
        paper=_SUFFICIENT,
        item="Figure 5",
        claim="With longer training accuracy rises on the source and falls on other sets, less "
        "with RC and LBE.",
        run="viewfinder.papers.minimal_sufficient.epochs:run",
        minutes=7,
        quick_minutes=0.5,
        recipes=_SUFFICIENT_SIMCLR,
        on_gpu=True,
    ),
    Experiment(
        name="minimal-sufficient/mib",
        paper=_SUFFICIENT,
        item="Table 3",
        claim="Taking away what views do not share, by IP or MIB, changes hardly anything.",
        run="viewfinder.papers.minimal_sufficient.mib:run",
        minutes=14,
        quick_minutes=1,
        recipes=tuple(
            f"minimal-sufficient/cifar10-simclr{word}" for word in ("", "-ip", "-mib", "-noise")
        ),
        on_gpu=True,
    ),
    Experiment(
        name="minimal-sufficient/supervised",
        paper=_SUFFICIENT,
        item="Table 4",
        claim="With labels, too, RC and LBE help on other sets and do no harm on the source.",
        run="viewfinder.papers.minimal_sufficient.supervised:run",
        minutes=12,
        quick_minutes=1,
        recipes=tuple(
            f"minimal-sufficient/{data}-supervised{word}"
            for data in ("cifar10", "cifar100")
            for word in ("", "-rc", "-lbe")
        ),
        on_gpu=True,
    ),
)
