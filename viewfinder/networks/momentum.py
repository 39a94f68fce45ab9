"""The momentum encoder: a network that follows another by an exponential moving average."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def ema_update(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """target <- momentum * target + (1 - momentum) * online, for every parameter, in place.

    (MoCo, He et al. 2020, equation 2; BYOL, Grill et al. 2020, equation 1.) momentum is in [0, 1]:
    0 copies, 1 leaves the target alone. The running statistics of batch norm stay, as in MoCo and
    BYOL: the target makes its own, in training mode. Raises ValueError where the two networks
    differ in the names or shapes of their parameters.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be in [0, 1], not {momentum}")
    theirs = dict(online.named_parameters())
    ours = dict(target.named_parameters())
    _check_same(ours, theirs)
    average = get_ema_multi_avg_fn(momentum)
    average([*ours.values()], [theirs[name] for name in ours], None)


def _check_same(ours: dict[str, nn.Parameter], theirs: dict[str, nn.Parameter]) -> None:
    differ = sorted(
        name
        for name in ours.keys() | theirs.keys()
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    )
    if differ:
        raise ValueError(f"the momentum network is not of the online one's make: {differ[:3]}")
