"""Decoders from features to images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from viewfinder.networks.decoder import Decoder


@pytest.mark.parametrize("size", [4, 17, 28, 32, 48, 64, 96, 224])
def test_a_decoder_makes_views_of_any_size(size: int) -> None:
    with torch.no_grad():
        assert Decoder(8, 1, size)(torch.zeros(2, 8)).shape == (2, 1, size, size)


@pytest.mark.parametrize(
    ("size", "dim", "first"),
    [(32, 512, 1024), (64, 512, 2048), (224, 2048, 3136)],
)
def test_decoders_have_the_sizes_of_the_released_ones(size: int, dim: int, first: int) -> None:
    decoder = Decoder(dim, 3, size)
    assert decoder.start[0].out_features == first
    last = decoder.body[-1]
    assert last.out_channels == 3
    assert last.bias is not None
    convolutions = [m for m in decoder.body if isinstance(m, nn.ConvTranspose2d)]
    strides = {32: [2, 2, 2, 1], 64: [2, 2, 2, 2, 1], 224: [2, 2, 2, 2, 2]}
    assert [c.stride[0] for c in convolutions] == strides[size]


def test_a_slim_decoder_has_a_share_of_the_channels() -> None:
    slim = Decoder(8, 3, 32, width=0.25)
    assert slim(torch.zeros(2, 8)).shape == (2, 3, 32, 32)
    channels = [m.out_channels for m in slim.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert (slim.map[0], channels) == (16, [64, 32, 16, 3])  # of 64 and 256, 128, 64
