"""The experiments of InfoMin in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

_INFOMIN = (
    "Tian, Sun, Poole, Krishnan, Schmid, Isola 2020, What Makes for Good Views for Contrastive "
    "Learning?"
)

INFOMIN = (
    Experiment(
        name="infomin/learned-views",
        paper=_INFOMIN,
        item="Figures 7 and 8, Table 5",
        claim="Views learned with some labels, so that they share little else, are better than "
        "those learned from the labels alone.",
        run="viewfinder.papers.infomin.learned_views:run",
        minutes=28,
        quick_minutes=2,
        on_gpu=True,
        seeds=5,
    ),
)
