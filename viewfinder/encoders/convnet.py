"""The small convolutional network of the papers' small-scale experiments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvNet(nn.Module):
    """A stack of 3x3 convolution, batch norm, ReLU; each but the first halves the side.

    Four layers of widths 8-16-32-64 are the papers' small network; 32-64-128-256-512 is the default
    of recipes.

    x      float (N, C, H, W), H and W of any size that survives the halvings
    returns float (N, widths[-1]), the mean over the last map

    >>> import torch
    >>> ConvNet(3, [8, 16, 32, 64])(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 64])
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for i, width in enumerate(widths):
            layers += [
                nn.Conv2d(before, width, 3, stride=1 if i == 0 else 2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            before = width
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean(dim=(2, 3))
