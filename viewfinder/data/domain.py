"""What one kind of view is, and what a part that is built will meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

Modality = Literal["images", "points", "tokens", "clips"]
DTYPES: Mapping[Modality, torch.dtype] = {
    "images": torch.uint8,
    "points": torch.float32,
    "tokens": torch.int64,
    "clips": torch.uint8,
}
"""What data of each kind is as it comes from its source."""
AXES: Mapping[Modality, tuple[str, ...]] = {
    "images": ("C", "H", "W"),
    "points": ("D",),
    "tokens": ("T",),
    "clips": ("T", "C", "H", "W"),
}
"""The dimensions of one datum of each kind."""


@dataclass(frozen=True)
class Domain:
    """What one kind of view is. Views of one network share an encoder, heads, negatives and a
    momentum copy; two networks (luminance and colour, say) share nothing.

    modality  "images": (C, H, W); "points": (D,); "tokens": (T,); "clips": (T, C, H, W)
    shape     of one view, without the batch
    network   the name of the network that takes it
    pieces_of the view is pieces of an image, (P, C, H, W), and each goes through the encoder of the
              network of this name; its own network has a head that joins what comes out
    weight    of the losses that its views are the query of, in their mean
    words     of tokens: the size of the vocabulary; its words are the numbers below
    """

    modality: Modality
    shape: tuple[int, ...]
    network: str = "main"
    pieces_of: str | None = None
    weight: float = 1.0
    words: int = 0

    @property
    def filling(self) -> int:
        """The number that fills sentences up to one length."""
        return self.words

    @property
    def mask(self) -> int:
        """The number that stands for a hidden word."""
        return self.words + 1

    @property
    def pieces(self) -> int:
        """How many pieces a view has; 0: it is whole."""
        return self.shape[0] if self.pieces_of is not None else 0

    @property
    def channels(self) -> int:
        """C of images and clips, D of points; tokens have one."""
        axis = {"images": 0, "points": 0, "clips": 1}.get(self.modality)
        return 1 if axis is None else self.shape[axis]

    @property
    def size(self) -> int:
        """The side of square images or frames, px; of others the last dimension."""
        return self.shape[-1]


@dataclass(frozen=True)
class Spec:
    """What a part will meet when it is used; the ``build`` of a row reads what it needs of it.

    domain       what its network takes
    domains      of each view in turn
    n            how many data there are; ``index`` of a batch is below it
    feature_dim  width of the encoder's output
    dim          width of what the objective compares: of the projections
    sizes        numbers of clusters, one for each clustering, where there are any
    seed         of the run
    """

    domain: Domain
    domains: tuple[Domain, ...] = ()
    n: int = 0
    feature_dim: int = 0
    dim: int = 0
    sizes: tuple[int, ...] = ()
    seed: int = 0
