"""How many prototypes a training uses, for the experiments on lambda."""

from __future__ import annotations

from typing import Any

import lightning as L
from torch import Tensor

from viewfinder.data.source import Split
from viewfinder.recipes.recipe import Recipe
from viewfinder.training.usage import effective_number


class EffectivePrototypes(L.Callback):
    """``rows``: of each epoch the effective number of prototypes, exp of the entropy of the shares
    of its samples that each has won; also of the last epoch of a run that is stopped."""

    def __init__(self, recipe: Recipe, split: Split) -> None:
        self.rows: list[float] = []
        self._won: Tensor | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._won = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        won = outputs["terms"]["usage"]
        self._won = won if self._won is None else self._won + won
        if step + 1 == trainer.num_training_batches:  # before an alarm at the epoch's end
            self.rows.append(effective_number(self._won))
