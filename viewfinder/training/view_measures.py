"""What is watched of a generator while it is trained, and the alarm."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from viewfinder.core.errors import RunStopped
from viewfinder.core.randomness import numpy_generator
from viewfinder.data.source import Split, sides_of
from viewfinder.networks.frozen_features import evaluating
from viewfinder.training.callbacks import any_rank, check_finite
from viewfinder.views.learned_space import LearnedSpace

MEASURED_IMAGES = 256
COLLAPSED_SPREAD = 0.05
"""Less than this between the 5th and the 95th percentile of a channel of deviation 1: nearly all
pixels have one value, and a few have all there is to see. That of a Gaussian is 3.3."""
LOST = 0.01
"""Of the range of a channel: more than this cannot be told from the generator's output."""


@torch.no_grad()
def measured(space: LearnedSpace, images: Tensor) -> dict[str, float]:
    """Of images float (N, C, H, W) in [0, 1]:

    channel_spread  the smallest distance of a channel's 5th and 95th percentile, standardised
    inverse_error   the largest difference of a value after the generator was undone
    log_volume      log |det| of the generator in the mean over pixels: 0 where it preserves volume
    """
    with evaluating(space):
        before = space.before(images)
        y, volume = space.generator.transformed(before)
        planes = y.transpose(0, 1).flatten(1)
        deviation = planes.std(1).clamp(min=1e-30)
        ends = [planes.kthvalue(max(1, round(q * planes.shape[1])), 1).values for q in (0.05, 0.95)]
        error = (space.generator.inverse(y) - before).abs().amax()
    pixels = images.shape[2] * images.shape[3]
    return {
        "channel_spread": float(((ends[1] - ends[0]) / deviation).amin()),
        "inverse_error": float(error),
        "log_volume": float(volume.mean()) / pixels,
    }


def diagnose_generator(spread: float, error: float) -> str | None:
    """What is wrong with a generator of this ``channel_spread`` and ``inverse_error``, and what
    usually helps; None where nothing is."""
    helps = (
        "What usually helps: a lower generator.lr, generator=vp, the method semi-supervised, whose "
        "labels hold it"
    )
    if not (math.isfinite(spread) and math.isfinite(error)):
        return f"the generator's output is not finite. {helps}"
    if spread < COLLAPSED_SPREAD:
        return (
            "the generator has collapsed: nearly all pixels of a channel have one value "
            f"(90 % of them within {spread:.4f} deviations). {helps}"
        )
    if error > LOST:
        return (
            f"the generator can no longer be undone: its inverse is off by {error:.4f}, so the "
            f"views have lost what is in the images. {helps}"
        )
    return None


class GeneratorMeasures(L.Callback):
    """``measured`` after each epoch, always of the same images, and the alarm: it stops the run
    before that epoch's checkpoint is written. With ``alarms`` False it only measures."""

    def __init__(self, split: Split, seed: int, *, alarms: bool = True) -> None:
        n = min(MEASURED_IMAGES, len(split))
        chosen = numpy_generator(seed, "measures").choice(len(split), n, replace=False)
        self.split, self.rows, self.alarms = split, np.sort(chosen), alarms
        self.latest: dict[str, float] = {}

    def said(self) -> str:
        """For the line of an epoch."""
        i_nce = float(torch.stack(self._information).mean())
        return f"I_NCE {i_nce:.2f} nats  channel spread {self.latest['channel_spread']:.2f}"

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._information: list[Tensor] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, step: int
    ) -> None:
        self._information.append(outputs["terms"]["i_nce"])
        helps = "a lower generator.lr and networks.lr, a higher networks.temperature, precision=32"
        check_finite(trainer, outputs["loss"], step, helps)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        images = self.split.data.read(self.rows).to(module.device)
        sides = sides_of(self.split.data, self.rows)
        (seen,) = module.maker.frozen(images, sides).values()
        found = measured(module.space, seen)
        pl_module.log_dict(found)
        self.latest = found
        problem = None
        if self.alarms:
            problem = diagnose_generator(found["channel_spread"], found["inverse_error"])
        if any_rank(trainer, problem is not None):
            told = problem or "another process raised the alarm"
            raise RunStopped(f"epoch {trainer.current_epoch + 1}: {told}")
