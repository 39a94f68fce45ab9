"""Views in pieces: an encoder that takes each, and a head that joins what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class OfPieces(nn.Module):
    """An encoder of whole views (N, C, H, W) for views in pieces, (N, P, C, H, W) -> (N, P, D).

    It has no weights of its own: they are the other network's, and are trained by both. In training
    its batch norm normalises the pieces by their own statistics and leaves the running ones alone,
    so that an evaluation, which sees whole views, has those of whole views.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self._shared = (encoder,)  # in a tuple, so that it is no submodule a second time

    def forward(self, x: Tensor) -> Tensor:
        (encoder,) = self._shared
        with _running_statistics_kept(encoder):
            features: Tensor = encoder(x.flatten(0, 1))
        return features.view(*x.shape[:2], -1)


class Joined(nn.Module):
    """A head of each piece, and a linear layer of all together: float (N, P, D) -> (N, dim).

    piece  float (M, D) -> (M, dim), of every piece the same
    """

    def __init__(self, piece: nn.Module, pieces: int, dim: int) -> None:
        super().__init__()
        self.piece = piece
        self.join = nn.Linear(pieces * dim, dim)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.piece(features.flatten(0, 1))
        joined: Tensor = self.join(projected.view(len(features), -1))
        return joined


@contextmanager
def _running_statistics_kept(encoder: nn.Module) -> Iterator[None]:
    norms = [one for one in encoder.modules() if isinstance(one, _BatchNorm)]
    momenta = [one.momentum for one in norms]
    for one in norms:
        one.momentum = 0.0
    try:
        yield
    finally:
        for one, momentum in zip(norms, momenta, strict=True):
            one.momentum = momentum
