"""Critics of views: a small network for each kind of view, and their product."""

from __future__ import annotations

import math

from torch import nn

from viewfinder.data.domain import Domain
from viewfinder.information.critics import Separable
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.pieces import OfPieces

SMALL = 8
"""The side of the last map of images, px, about."""


def view_critic(first: Domain, second: Domain, width: int, dim: int) -> Separable:
    """f(x, y) = g(x) · h(y) / √dim of views of two domains, each a network and a linear layer.

    Images go through a small ``convnet`` whose last stage has ``width`` channels on a map of about
    8 px, other data through an ``mlp``. Views of one network of a run share it here too; the linear
    layers are their own, so that the two sides need not be alike. Views in pieces go through the
    network of whole views, and a linear layer joins them.

    Raises UserError for views that no such network takes.

    >>> domain = Domain("images", (3, 32, 32))
    >>> view_critic(domain, domain, 64, 32)(torch.zeros(5, 3, 32, 32), torch.zeros(4, 3, 32, 32))
    tensor(...)  # doctest: +SKIP
    """
    made: dict[str, tuple[nn.Module, int]] = {}
    for domain in sorted((first, second), key=lambda one: one.pieces):  # whole views first
        name = domain.pieces_of or domain.network
        if name not in made:
            whole = Domain(domain.modality, domain.shape[1 if domain.pieces else 0 :])
            made[name] = trunk(whole, width)
    sides = [
        _side(domain, *made[domain.pieces_of or domain.network], dim) for domain in (first, second)
    ]
    return Separable(*sides)


def label_critic(view: Domain, classes: int, width: int, dim: int) -> Separable:
    """The same of a view and a one-hot label, which has a vector for each class."""
    encoder, features = trunk(view, width)
    return Separable(_side(view, encoder, features, dim), nn.Linear(classes, dim))


def trunk(domain: Domain, width: int) -> tuple[nn.Module, int]:
    """The network of whole views, float (N, ...) -> (N, features)."""
    if domain.modality != "images":
        return build_encoder("mlp", domain, {"widths": [width, width]})
    stages = max(3, 1 + round(math.log2(domain.size / SMALL)))
    widths = [max(8, width >> (stages - 1 - stage)) for stage in range(stages)]
    return build_encoder("convnet", domain, {"widths": widths})


def _side(domain: Domain, encoder: nn.Module, features: int, dim: int) -> nn.Sequential:
    if not domain.pieces:
        return nn.Sequential(encoder, nn.Linear(features, dim))
    joined = nn.Linear(domain.pieces * features, dim)
    return nn.Sequential(OfPieces(encoder), nn.Flatten(), joined)
