"""Invertible generators of views: a function of each pixel's channels that can be undone.

InfoMin (Tian et al. 2020, section 4.2 and appendix B.5) learns a colour space whose first channel
and whose others are the two views. Widths, number of blocks and the form of the scale are not in
the paper; the defaults are ours.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Kind = Literal["vp", "nvp"]
"""Volume-preserving, or not: figure 11a or 11b."""
SCALING: dict[Kind, bool] = {"vp": False, "nvp": True}


class Coupling(nn.Module):
    """One block of figure 11: a channel is kept, and says how the others change.

        volume-preserving   y1 = x1,  y2 = x2 + G(x1)                (NICE, Dinh et al. 2015)
        not                 y1 = x1,  y2 = x2 * exp(F(x1)) + G(x1)   (RealNVP, Dinh et al. 2017)

    F and G are 1x1 convolutions with a ReLU between, which share their first layer; F ends in a
    tanh, so that a block stretches nothing by more than e and stays invertible in float32. Both
    begin at 0: an untrained block changes nothing.

    Everything is in planes: x (C, P), channel by channel the values of P pixels.
    """

    def __init__(self, channels: int, kept: int, units: int, *, scales: bool) -> None:
        super().__init__()
        self.kept, self.scales = kept, scales
        others = channels - 1
        self.weight = nn.Parameter(torch.randn(units, 1))
        self.bias = nn.Parameter(torch.randn(units, 1))
        self.weight_out = nn.Parameter(torch.zeros(others * (1 + scales), units))
        self.bias_out = nn.Parameter(torch.zeros(others * (1 + scales), 1))

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """The kept channel (1, P), the others, and what F and G say of them (C - 1, P)."""
        k = self.kept
        kept, others = x[k : k + 1], torch.cat([x[:k], x[k + 1 :]])
        hidden = torch.addmm(self.bias, self.weight, kept).relu_()
        out = torch.addmm(self.bias_out, self.weight_out, hidden)
        scale = out[len(others) :].tanh() if self.scales else None
        return kept, others, scale, out[: len(others)]

    def _joined(self, kept: Tensor, others: Tensor) -> Tensor:
        return torch.cat([others[: self.kept], kept, others[self.kept :]])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """y (C, P), and log |det dy/dx| of each pixel (P,); None where it is 0 throughout."""
        kept, others, scale, shift = self._parts(x)
        if scale is None:
            return self._joined(kept, others + shift), None
        return self._joined(kept, torch.addcmul(shift, others, scale.exp())), scale.sum(0)

    def inverse(self, y: Tensor) -> Tensor:
        """x (C, P) of y."""
        kept, others, scale, shift = self._parts(y)
        others = others - shift
        return self._joined(kept, others if scale is None else others * (-scale).exp())


class Generator(nn.Module):
    """g of InfoMin's equations 2 and 3: blocks of which each keeps the next channel in turn.

    x        float (N, C, H, W), C >= 2, the parameters' dtype -> float (N, C, H, W)
    kind     "vp" (volume-preserving) or "nvp"
    units    of the hidden layer of a block

    Each pixel is changed by itself. An untrained generator is the identity. Raises ValueError for
    fewer than two channels, for no block and for another kind.

    >>> g = Generator(3, "nvp")
    >>> x = torch.rand(2, 3, 8, 8)
    >>> torch.equal(g(x), x)
    True
    """

    def __init__(self, channels: int, kind: Kind = "nvp", blocks: int = 6, units: int = 8) -> None:
        super().__init__()
        if kind not in SCALING:
            raise ValueError(f"kind must be one of {get_args(Kind)}, not {kind!r}")
        if channels < 2 or blocks < 1 or units < 1:
            raise ValueError(
                f"{channels} channels, {blocks} blocks of {units} units: two channels, a block and "
                "a unit are the least"
            )
        self.blocks = nn.ModuleList(
            Coupling(channels, i % channels, units, scales=SCALING[kind]) for i in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.transformed(x)[0]

    def transformed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """g(x), and log |det dg/dx| of each image (N,): the sum over its pixels."""
        planes, volume = _planes(x), x.new_zeros(())
        with torch.autocast(x.device.type, enabled=False):  # its inverse must stay exact
            for block in self.blocks:
                planes, own = block(planes)
                volume = volume if own is None else volume + own
        return _images(planes, x), volume.expand(planes.shape[1]).view(len(x), -1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """x of y = g(x)."""
        planes = _planes(y)
        with torch.autocast(y.device.type, enabled=False):
            for block in reversed(self.blocks):
                planes = block.inverse(planes)  # type: ignore[operator]
        return _images(planes, y)


def _planes(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, N H W)."""
    return x.transpose(0, 1).reshape(x.shape[1], -1)


def _images(planes: Tensor, like: Tensor) -> Tensor:
    """(C, N H W) -> (N, C, H, W)."""
    n, c, *sides = like.shape
    return planes.view(c, n, *sides).transpose(0, 1)
