"""The momentum encoder: a network that follows another by an exponential moving average."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn


@torch.no_grad()
def ema_update(
    target: nn.Module,
    online: nn.Module,
    momentum: float,
    *,
    buffers: Literal["keep", "copy", "average"] = "keep",
) -> None:
    """target <- momentum * target + (1 - momentum) * online, for every parameter, in place.

    (MoCo, He et al. 2020, equation 2; BYOL, Grill et al. 2020, equation 1.) momentum is in [0, 1]:
    0 copies, 1 leaves the target alone. ``buffers`` are the running statistics of batch norm:
    "keep", as MoCo and BYOL do, lets the target make its own, in training mode; "copy" takes the
    online ones; "average" treats floating ones as parameters and copies the counts. Raises
    ValueError where the two networks differ in the names or shapes of their parameters.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be in [0, 1], not {momentum}")
    theirs = dict(online.named_parameters())
    ours = dict(target.named_parameters())
    _check_same(ours, theirs)
    for name, parameter in ours.items():
        parameter.lerp_(theirs[name], 1 - momentum)
    if buffers == "keep":
        return
    statistics = dict(online.named_buffers())
    for name, buffer in target.named_buffers():
        if buffers == "average" and buffer.is_floating_point():
            buffer.lerp_(statistics[name], 1 - momentum)
        else:
            buffer.copy_(statistics[name])


def _check_same(ours: dict[str, nn.Parameter], theirs: dict[str, nn.Parameter]) -> None:
    differ = sorted(
        name
        for name in ours.keys() | theirs.keys()
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    )
    if differ:
        raise ValueError(f"the momentum network is not of the online one's make: {differ[:3]}")
