"""All words of a vocabulary as negatives: the last layer of a masked language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.core.errors import UserError
from viewfinder.core.table import Options
from viewfinder.data.domain import Spec
from viewfinder.negatives.contract import Contrast, Negatives, NegativesRow


class Vocabulary(Negatives):
    """A vector of each word, learned with the encoder; the same for all places of a sentence.

    The positive of a hidden word is its vector, the negatives are all others. By dot products at a
    temperature of 1 InfoNCE with them is the cross-entropy of a masked language model, and
    log(words) minus it VINCE's I_MLM (Wu et al. 2020, section 5.1), in which each word counts as a
    uniform draw.

    >>> words = Vocabulary(100, 16)
    >>> words.propose(torch.zeros(3, 16), torch.tensor([5, 7, 5])).table.shape
    torch.Size([100, 16])
    """

    def __init__(self, words: int, dim: int) -> None:
        super().__init__()
        if words < 2 or dim < 1:
            raise ValueError(
                f"a vocabulary needs at least two words and a positive dim, not {words} and {dim}"
            )
        self.table = nn.Parameter(torch.randn(words, dim) * 0.02)

    def propose(self, query: Tensor, index: Tensor, z: Tensor | None = None) -> Contrast:
        """All words for every query (N, D); ``index`` int64 (N,) says which word each is of."""
        every = torch.arange(len(self.table), device=self.table.device)
        return Contrast(self.table, positive=self.table[index], index=every, own=index)


def _build(options: Options, spec: Spec) -> Vocabulary:
    if not spec.domain.words:
        raise UserError(
            f"negatives=vocabulary are the words of a text; the data are {spec.domain.modality}",
            fix="data=text:FILE, or negatives=batch",
        )
    return Vocabulary(spec.domain.words, spec.dim)


VOCABULARY = NegativesRow(
    name="vocabulary",
    summary="all words of the text, by vectors that are learned",
    paper="BERT, Devlin et al. 2019; VINCE, Wu et al. 2020, section 5.1",
    build=_build,
    kind="table",
    gives_positive=True,
    of_places=True,
)
