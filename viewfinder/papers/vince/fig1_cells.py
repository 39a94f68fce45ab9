"""The runs of Figure 1 of Wu et al. 2020: points as data, noise as the only step of the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import lightning as L
import numpy as np

from viewfinder.core.errors import unknown
from viewfinder.data.source import Split
from viewfinder.data.sources.table import open_source
from viewfinder.data.stored import Subset
from viewfinder.networks.frozen_features import extract
from viewfinder.papers.desk import Cell
from viewfinder.recipes.recipe import Recipe, merge

POINTS = 600  # test points whose representations are kept for the figure

Negatives = Literal["batch", "bank"]

# 10,000 steps of 128 are "100 epochs", so there are 12,800 points. The domain is as wide as the
# largest noise, 5; arms are radius / (2 turns) apart, so that noise of up to about 0.4 leaves them
# apart; whole turns at even angles put the bare coordinates at chance.
SOURCE = "spirals:radius=2.5,turns=2,train=12800,test=4000"
RECIPE: Mapping[str, Any] = {
    "method": "simclr",
    "precision": "32",
    "alarms": False,  # where there is nothing to learn, two dimensions may rightly become one
    "data": {"source": SOURCE},
    "views": {"size": None},
    "objective": {"name": "info-nce", "temperature": 1.0, "similarity": "dot"},
    "encoder": {"name": "mlp", "widths": [128, 128, 128, 128, 2], "last_activation": False},
    "head": {"projector": []},
    "optimizer": {
        "name": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-5,
        "decay_all": True,
        "warmup_epochs": 0,
        # Dot products are not bounded: with little noise, and without a limit, the paper's learning
        # rate diverges.
        "clip": 1.0,
    },
    "schedule": {"name": "constant"},
}
RATE, STEPS = 0.03, 10_000
"""The paper's learning rate, whatever the batch, and number of steps."""
VARIANTS: Mapping[Negatives, Mapping[str, Any]] = {
    # every point of the batch is an anchor, and the other 511 are its negatives (equation 5)
    "batch": {"batch_size": 512},
    # the memory of instance discrimination: rows of past steps, without gradient (equation 7)
    "bank": {
        "batch_size": 128,
        "views": {"count": 1},
        "target": {"name": "bank"},
        "negatives": {
            "name": "bank",
            "size": 4096,
            "alpha": 0.0,
            "draws": "shared",
            "unit_keys": False,
            "renormalise": False,
        },
    },
}


class Representation(L.Callback):
    """What the encoder makes of some test points at the end; of them the spiral, in ``rows``."""

    def __init__(self, recipe: Recipe, split: Split) -> None:
        test = open_source(recipe.data.source, **recipe.data.options(), seed=recipe.seed).test
        assert test is not None
        assert test.labels is not None
        self.data, self.labels = Subset(test.data, np.arange(min(POINTS, len(test)))), test.labels
        self.view = recipe.view_maker().frozen
        self.rows: list[dict[str, Any]] = []

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        z = extract(module.encoder, self.data, self.view, device=module.device)
        points = np.round(z.double().numpy(), 4).tolist()
        self.rows.append({"points": points, "labels": self.labels[: len(points)].tolist()})


def cell(
    eta: float,
    *,
    quick: bool = False,
    negatives: str = "batch",
    changes: Mapping[str, Any] | None = None,
) -> Cell:
    """The run of a noise level; ``quick``: half of the steps.

    negatives  "batch" or "bank"
    changes    further overrides of the recipe

    Raises UserError for other negatives.
    """
    if negatives not in VARIANTS:
        raise unknown("negatives of vince/fig1", negatives, list(get_args(Negatives)))
    variant = VARIANTS[negatives]  # type: ignore[index]
    batch = variant["batch_size"]
    own = {
        "epochs": STEPS // (12_800 // batch) // (2 if quick else 1),
        "views": {"steps": [{"noise": eta}]},
        "optimizer": {"lr": RATE * 256 / batch},  # a recipe's is for batches of 256
    }
    recipe = merge(RECIPE, variant, own, changes or {})
    watch = (f"{Representation.__module__}:{Representation.__name__}",)
    return Cell(f"η = {eta:g}", recipe, watch=watch)


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the figure and the claims need of a run; None throughout where it was stopped.

    accuracy   of the linear probe on the test points
    loss       mean over the last tenth of the epochs; losses: of each epoch
    points     representations (n, 2) of test points; labels: their spirals
    """
    stopped = result["stopped"] is not None
    losses = [row["loss"] for row in result["epochs"]]
    kept: Sequence[dict[str, Any]] = result["watched"].get(Representation.__name__, ())
    shown = kept[0] if kept else {"points": None, "labels": None}
    last = losses[-max(1, len(losses) // 10) :]
    return {
        "accuracy": result["top1"],
        "loss": None if stopped else float(np.mean(last)),
        "losses": None if stopped else losses,
        **shown,
        "stopped": result["stopped"],
        "seconds": round(result["seconds"], 1),
    }
