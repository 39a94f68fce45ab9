"""The small convolutional network of the papers' small-scale experiments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Stages of 3x3 convolution, batch norm, ReLU; each but the first halves the side, the first
    where its stride is 2.

    The stages are the submodules stage1, stage2, ... Four of widths 8-16-32-64 are the papers'
    small network; 32-64-128-256-512 is the default of recipes.

    x      float (N, C, H, W), H and W of any size that survives the halvings
    returns float (N, widths[-1]), the mean over the last map

    >>> import torch
    >>> ConvNet(3, [8, 16, 32, 64])(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 64])
    """

    def __init__(self, channels: int, widths: Sequence[int], *, first_stride: int = 1) -> None:
        super().__init__()
        before = channels
        for number, width in enumerate(widths, start=1):
            stride = first_stride if number == 1 else 2
            stage = nn.Sequential(
                nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            )
            self.add_module(f"stage{number}", stage)
            before = width

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.children():
            x = stage(x)
        return x.mean(dim=(2, 3))
