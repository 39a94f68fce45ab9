"""The experiments of VINCE in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

VINCE = (
    Experiment(
        name="vince/fig1",
        paper="Wu, Zhuang, Mosse, Yamins, Goodman 2020, "
        "On Mutual Information in Contrastive Learning for Visual Representations",
        item="Figure 1",
        claim="On two interwoven spirals, views by uniform noise make a good representation "
        "only at a noise level in between: too little or too much leaves it at chance.",
        run="viewfinder.papers.vince.fig1:run",
        minutes=20,
        quick_minutes=3,
    ),
)
