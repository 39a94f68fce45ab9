"""The experiments of CARL in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

_CARL = "Silva, Ramírez Rivera 2021, Consistent Assignment for Representation Learning"

CARL = (
    Experiment(
        name="carl/table1",
        paper=_CARL,
        item="Table 1",
        claim="With equal budgets CARL is better than MoCo v2 and on par with BYOL and SimCLR.",
        run="viewfinder.papers.carl.table1:run",
        minutes=8,
        quick_minutes=1,
        recipes=(
            *(
                f"carl/{data}-{method}"
                for data in ("cifar10", "cifar100", "stl10")
                for method in ("carl", "moco", "simclr", "byol")
            ),
        ),
        on_gpu=True,
    ),
    Experiment(
        name="carl/equal-heads",
        paper=_CARL,
        item="Table 1 and Figure 2, heads of one shape",
        claim="With equal budgets and heads CARL is better than MoCo v2, on par with BYOL and "
        "SimCLR, and best with a weight of equal usage that falls.",
        run="viewfinder.papers.carl.equal_heads:run",
        minutes=90,
        quick_minutes=4,
        recipes=(
            *(f"carl/cifar10-{method}" for method in ("carl", "moco", "simclr", "byol")),
            *("carl/stl10-carl", "carl/stl10-constant", "carl/stl10-small"),
        ),
        on_gpu=True,
        seeds=5,
    ),
    Experiment(
        name="carl/fig2",
        paper=_CARL,
        item="Figure 2",
        claim="A weight of equal usage that falls during training is better than a constant "
        "one, and none at all collapses.",
        run="viewfinder.papers.carl.fig2:run",
        minutes=4,
        quick_minutes=1,
        recipes=("carl/stl10-carl", "carl/stl10-constant", "carl/stl10-small"),
        on_gpu=True,
    ),
    Experiment(
        name="carl/fig3",
        paper=_CARL,
        item="Figure 3",
        claim="Over the number of prototypes accuracy rises and falls, and is best near ten "
        "times the number of classes.",
        run="viewfinder.papers.carl.fig3:run",
        minutes=5,
        quick_minutes=1,
        recipes=("carl/cifar10-prototypes", "carl/cifar100-prototypes"),
        on_gpu=True,
    ),
)
