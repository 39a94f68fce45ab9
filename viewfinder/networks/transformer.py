"""A small Transformer of sentences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.data.domain import Domain


class Transformer(nn.Module):
    """Words and places embedded, layers of self-attention, and the mean over the words.

    domain  of tokens: their number of words and the longest sentence
    width   of each word's vector;  depth: layers;  heads: of attention, ``width`` a multiple of it

    x       int64 (N, T), T up to the longest, filled up with ``domain.filling``
    returns float (N, width), the mean over what is not filling; ``norm`` is the stage that gives a
            vector of each word, (N, T, width)

    Layers normalise first, and have no dropout.

    >>> sentences = Domain("tokens", (5,), words=100)
    >>> Transformer(sentences, 16, 2, 4)(torch.zeros(3, 5, dtype=torch.int64)).shape
    torch.Size([3, 16])
    """

    def __init__(self, domain: Domain, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.filling = domain.filling
        self.words = nn.Embedding(domain.mask + 1, width)
        self.places = nn.Parameter(torch.zeros(domain.size, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.places, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        filled = x == self.filling
        vectors = self.words(x) + self.places[: x.shape[1]]
        for layer in self.layers:
            vectors = layer(vectors, src_key_padding_mask=filled)
        vectors = self.norm(vectors)
        kept = (~filled)[..., None]
        mean: Tensor = (vectors * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
        return mean
