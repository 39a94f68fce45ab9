"""Going on from a checkpoint: what it says is checked before the first step is made with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import lightning as L
import torch
from torch import Tensor, nn

from viewfinder.core.errors import RunStopped, UserError, brief
from viewfinder.runs.checkpoint import STATE


class Restored(L.Callback):
    """Refuses an optimiser's state that is not of its parameters; knows when training begins."""

    def __init__(self) -> None:
        self.done = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for optimizer in trainer.optimizers:
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    _check_fits(name, value, parameter)
        self.done = True


def _check_fits(name: str, value: object, parameter: Tensor) -> None:
    if not isinstance(value, Tensor):
        return
    if value.shape not in ((), parameter.shape):
        there, here = tuple(value.shape), tuple(parameter.shape)
        raise ValueError(f"{name} of the optimizer is {there}, its parameter {here}")
    if not value.is_floating_point() or not value.isfinite().all():
        raise ValueError(f"{name} of the optimizer does not hold finite numbers")


@contextmanager
def going_on(last: Path | None, restored: Restored) -> Iterator[None]:
    """Inside, whatever goes wrong before the first step lies in the checkpoint ``last``, if there
    is one: UserError."""
    try:
        yield
    except (UserError, RunStopped):
        raise
    except Exception as error:
        if last is None or restored.done:
            raise
        raise UserError(
            f"{last / STATE} does not fit the run: {type(error).__name__}: {brief(error)}",
            fix=f"remove the folder {last}: the checkpoint before it is then used",
        ) from error


def check_same(module: nn.Module, weights: Mapping[str, Tensor], last: Path) -> None:
    """Raise UserError where what counts as the same, made of the data once, is not what the
    checkpoint ``last`` was trained with."""
    for name in ("clusters", "tags"):
        kept, made = weights.get(name), getattr(module, name, None)
        if kept is None or made is None or torch.equal(kept, made.cpu()):
            continue
        differ = f"they were {tuple(kept.shape)} and are {tuple(made.shape)}"
        if kept.shape == made.shape:
            rows = (kept != made.cpu()).reshape(len(kept), -1).any(1)
            differ = f"those of {int(rows.sum())} of {len(rows)} images differ"
        raise UserError(
            f"the {name} of the images are not those that the checkpoint {last} was trained with: "
            f"{differ}",
            fix="the labels or the file of positives as they were, or a new run",
        )
