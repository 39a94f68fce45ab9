"""Batch norm over the samples of all processes, on any device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.core.across_ranks import gather, world_size


class _Joined(nn.modules.batchnorm._BatchNorm):
    """The statistics of a step in training are those of the joined batch, however many samples each
    process holds, with gradients; so several processes are one process on all samples.

    ``nn.SyncBatchNorm`` does the same, on GPUs alone, where it is faster and may take its place: a
    run on GPUs sees to it. In a single process it is torch's own. All processes must call it.
    Raises ValueError on every process where they have one number per channel together: it has no
    spread.
    """

    def forward(self, x: Tensor) -> Tensor:
        if world_size() == 1 or not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        dims = [0, *range(2, x.ndim)]
        wide = x.float() if torch.finfo(x.dtype).bits < 32 else x
        count = wide.new_full((x.shape[1],), x.numel() // max(1, x.shape[1]))
        mean = wide.sum(dims) / count.clamp(min=1)
        squares = (wide - _column(mean, x)).square().sum(dims)
        every = gather(torch.stack([count, mean, squares])[None], [1] * world_size())
        counts, means, sums = every.unbind(1)
        total = counts.sum(0)
        if int(total[0]) < 2:
            raise ValueError("batch norm in training needs more than one number per channel")
        # by the deviations of the processes, not by squares: nothing is lost far from zero
        joint = (counts * means).sum(0) / total
        squares = (sums + counts * (means - joint).square()).sum(0)
        self._remember(joint.detach(), squares.detach() / (total - 1))
        made = (wide - _column(joint, x)) * _column((squares / total + self.eps).rsqrt(), x)
        if self.affine:
            made = made * _column(self.weight, x) + _column(self.bias, x)
        return made.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean over all steps
            share = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_(variance.to(self.running_var), share)


class JoinedBatchNorm1d(_Joined, nn.BatchNorm1d):
    """Of (N, C) or (N, C, L)."""


class JoinedBatchNorm2d(_Joined, nn.BatchNorm2d):
    """Of (N, C, H, W)."""


_JOINED: dict[type[nn.Module], type[_Joined]] = {
    nn.BatchNorm1d: JoinedBatchNorm1d,
    nn.BatchNorm2d: JoinedBatchNorm2d,
}


def join_batch_norms(module: nn.Module) -> None:
    """Make every batch norm inside a module one over the samples of all processes, in place; its
    parameters and statistics stay.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> join_batch_norms(model)
    >>> model[1]
    JoinedBatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    """
    for one in module.modules():
        if type(one) in _JOINED:
            one.__class__ = _JOINED[type(one)]


def _column(x: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...), to go with ``like``."""
    return x.view(1, -1, *[1] * (like.ndim - 2))
