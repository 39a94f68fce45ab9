"""A network of single frames with a recurrent one over them: the encoder of clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from viewfinder.networks.convnet import ConvNet

Cell = Literal["lstm", "gru"]
CELLS: dict[Cell, type[nn.LSTM | nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """A ``ConvNet`` of each frame, and one recurrent layer over the frames; its last output.

    The small network of Tian et al. 2020 (InfoMin, appendix B.4): widths 8-16-32-64, an LSTM of 64.

    x        float (N, T, C, H, W)
    returns  float (N, units)

    >>> import torch
    >>> Recurrent(3, [8, 16, 32, 64], 64)(torch.zeros(2, 5, 3, 32, 32)).shape
    torch.Size([2, 64])
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        units: int,
        cell: Cell = "lstm",
        first_stride: int = 1,
    ) -> None:
        super().__init__()
        self.frame = ConvNet(channels, widths, first_stride=first_stride)
        self.over = CELLS[cell](widths[-1], units, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        features = self.frame(x.flatten(0, 1)).view(*x.shape[:2], -1)
        outputs: Tensor = self.over(features)[0]
        return outputs[:, -1]
