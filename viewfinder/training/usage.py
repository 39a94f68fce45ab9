"""How much each prototype is used, epoch by epoch, and the alarm where one takes everything."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from viewfinder.core.errors import RunStopped
from viewfinder.core.files import write_atomically

COLLAPSED = 1.05
"""Fewer effective prototypes than this: one of them wins all samples."""
SURE = 2.0
"""Fewer effective prototypes than this in the mean assignment: nearly all of it is one's. Where all
are assigned alike, one may win all samples by next to nothing, as it does when training starts."""


def effective_number(usage: Tensor) -> float:
    """exp(H(usage)): how many prototypes, equally used, would be as diverse. (K,) -> 1..K.

    >>> effective_number(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    2.0
    """
    share = usage.double() / usage.sum()
    entropy = -torch.special.xlogy(share, share).sum()
    return round(float(entropy.exp()), 9)


class Usage(L.Callback):
    """usage.csv: the share of the samples each prototype won, one row per epoch.

    Nothing for objectives without prototypes. The rows travel in the checkpoint. Where all samples
    go to one prototype, and surely so, the run stops, before that epoch's checkpoint is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[list[float]] = []
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sums, self._steps = {}, 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        terms = outputs["terms"]
        for name in {"usage", "assigned"} & terms.keys():
            self._sums[name] = self._sums.get(name, 0) + terms[name]
        self._steps += 1

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if "usage" not in self._sums:
            return
        usage = self._sums["usage"] / self._steps
        assigned = self._sums.get("assigned", usage)
        if effective_number(usage) < COLLAPSED and effective_number(assigned) < SURE:
            raise RunStopped(
                f"epoch {trainer.current_epoch + 1}: all samples are assigned to one of "
                f"{len(usage)} prototypes. What usually helps: more weight on their equal usage "
                "(objective.weight for carl), a lower optimizer.lr, a larger batch_size"
            )
        self.rows = [*self.rows, [round(float(share), 6) for share in usage]]
        if trainer.is_global_zero:
            write_atomically(self.path, _csv(self.rows))


def _csv(rows: list[list[float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *(f"prototype {k}" for k in range(len(rows[0])))])
    writer.writerows([epoch, *row] for epoch, row in enumerate(rows, start=1))
    return text.getvalue()
