"""Decoders from a feature vector to an image, for reconstruction (RC)."""

from __future__ import annotations

from torch import Tensor, nn

from viewfinder.networks.joined_batch_norm import JoinedBatchNorm1d, JoinedBatchNorm2d

WIDE_FROM = 128
"""From this side on the first map is 7x7 and the widths are those for 224 px."""


class Decoder(nn.Module):
    """Features (N, dim) to images (N, channels, size, size), by transposed convolutions.

    A linear layer, batch norm and ReLU give the first map; stride-2 3x3 transposed convolutions,
    each with batch norm and ReLU, double its side; the last layer has a bias and no activation.
    The batch is that of all processes.

        32 px   4x4 of 64 channels, 256, 128, 64, then stride 1 to the image
        64 px   4x4 of 128, four times 128, then stride 1
        96 px   6x6 of 128, four times 128, then stride 1
        224 px  7x7 of 64, 128, 128, 128, 64, then stride 2 to the image

    as in the released code of Wang et al. 2022, which has no 96 px: there the first map is larger.
    Other sizes up to 32 px have the layers of 32, up to 127 px those of 64 and 96, above those of
    224, on a first map as large as they need, and the image is cut from the middle. All channels
    but the image's are multiplied by ``width``. Raises ValueError for a size below 4.

    >>> import torch
    >>> Decoder(512, 3, 32)(torch.zeros(2, 512)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, dim: int, channels: int, size: int, *, width: float = 1.0) -> None:
        super().__init__()
        if size < 4:
            raise ValueError(f"a decoder makes images of at least 4 px, not {size}")
        first, widths, last_stride = _plan(size)
        first, *widths = (max(1, round(width * channels)) for channels in (first, *widths))
        doublings = len(widths) + (last_stride == 2)
        self.size = size
        self.map = (first, -(-size // 2**doublings), -(-size // 2**doublings))
        units = first * self.map[1] ** 2
        self.start = nn.Sequential(
            nn.Linear(dim, units, bias=False), JoinedBatchNorm1d(units), nn.ReLU(inplace=True)
        )
        layers: list[nn.Module] = []
        before = first
        for width in widths:
            layers += [_up(before, width, 2, bias=False), JoinedBatchNorm2d(width), nn.ReLU(True)]
            before = width
        self.body = nn.Sequential(*layers, _up(before, channels, last_stride, bias=True))

    def forward(self, features: Tensor) -> Tensor:
        images: Tensor = self.body(self.start(features).unflatten(1, self.map))
        spare = (images.shape[-1] - self.size) // 2
        return images[..., spare : spare + self.size, spare : spare + self.size]


def _plan(size: int) -> tuple[int, list[int], int]:
    """Channels of the first map, those after each doubling, and the stride of the last layer."""
    if size >= WIDE_FROM:
        return 64, [128, 128, 128, 64], 2
    if size > 32:
        return 128, [128] * 4, 1
    return 64, [256, 128, 64], 1


def _up(before: int, after: int, stride: int, *, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(
        before, after, 3, stride=stride, padding=1, output_padding=stride - 1, bias=bias
    )
