"""An encoder of the patches of an image, each by itself, without batch norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

Norm = Literal["none", "layer"]


class Patches(nn.Module):
    """Stages of 3x3 convolution and ReLU on every patch; each but the first halves the side.

    norm  "none", or "layer": each patch is normalised by itself, as in CPC v2. Batch norm would
          tell a patch of the others of its batch, which is what is to be predicted.

    ``each`` gives the features of every patch, float (N, P, C, h, w) -> (N, P, widths[-1]); called,
    it gives their mean over the patches, (N, widths[-1]), which an evaluation reads.
    """

    def __init__(self, channels: int, widths: Sequence[int], norm: Norm = "none") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for number, width in enumerate(widths):
            layers.append(nn.Conv2d(before, width, 3, stride=2 if number else 1, padding=1))
            layers += [nn.GroupNorm(1, width)] if norm == "layer" else []
            layers.append(nn.ReLU(inplace=True))
            before = width
        self.stages = nn.Sequential(*layers)

    def each(self, x: Tensor) -> Tensor:
        """The features of every patch."""
        maps: Tensor = self.stages(x.flatten(0, 1))
        return maps.mean((2, 3)).view(*x.shape[:2], -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.each(x).mean(1)
