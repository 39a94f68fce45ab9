"""The experiments of InfoMin in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

INFOMIN = (
    Experiment(
        name="infomin/table4",
        paper="Tian, Sun, Poole, Krishnan, Schmid, Isola 2020, "
        "What Makes for Good Views for Contrastive Learning",
        item="Table 4",
        claim="What two views share decides what is learned: of digit, position and background "
        "the one that is shared is known, and where the background is, the others are left out.",
        run="viewfinder.papers.infomin.table4:run",
        minutes=55,
        quick_minutes=3,
        seeds=5,
    ),
)
