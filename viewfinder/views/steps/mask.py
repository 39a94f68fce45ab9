"""Views of sentences: some words are hidden, some exchanged."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Fraction
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.contract import Step, Strength, Transform, Values


class MaskOptions(Options):
    """How many words are chosen, and what becomes of them."""

    rate: float = Field(0.15, gt=0, le=1, description="share of the words that are chosen")
    mask: Fraction = Field(0.8, description="of the chosen, the share that the mask stands for")
    random: Fraction = Field(
        0.1, description="of the chosen, the share that another word stands for; the rest stays"
    )

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if self.mask + self.random > 1:
            raise OptionError(
                f"@{MASK.name}_mask={self.mask:g} and @{MASK.name}_random={self.random:g} are more "
                "than all of the chosen words",
                fix=f"@{MASK.name}_random={1 - self.mask:g}",
                own=f"random={1 - self.mask:g}",
            )
        return self


class MaskTokens(Transform):
    """Each word is chosen with probability ``rate``, and of each sentence one at least; of the
    chosen ones 80 % become the mask, 10 % a word drawn from the vocabulary, 10 % stay (Devlin et
    al. 2019, section 3.1)."""

    def __init__(self, options: MaskOptions, domain: Domain) -> None:
        super().__init__()
        self.options: MaskOptions = options
        self.domain = domain

    def draw(self, n: int, domain: Domain, generator: torch.Generator) -> Values:
        """``chosen``, ``how`` and ``word``, float (n, T) in [0, 1)."""
        shape = (n, *domain.shape)
        return {
            name: torch.rand(shape, device=generator.device, generator=generator)
            for name in ("chosen", "how", "word")
        }

    def chosen(self, x: Tensor, drawn: Values) -> Tensor:
        """Which words of sentences x int64 (N, T) are chosen: bool (N, T), never where a sentence
        is filled up."""
        number = drawn["chosen"].masked_fill(x == self.domain.filling, 2)
        return (number < self.options.rate) | (number == number.amin(dim=1, keepdim=True))

    def forward(self, x: Tensor, drawn: Values) -> Tensor:
        o, words = self.options, self.domain.words
        other = (drawn["word"] * words).to(x.dtype).clamp(max=words - 1)
        put = torch.where(drawn["how"] < o.mask, torch.full_like(x, self.domain.mask), other)
        changed = self.chosen(x, drawn) & (drawn["how"] < o.mask + o.random)
        return torch.where(changed, put, x)


def _weaker(options: MaskOptions, factor: float) -> dict[str, Any]:
    """More of the chosen words stay, or fewer, at most all change."""
    total = options.mask + options.random
    share = min(factor, 1 / total) if total else factor
    return {"mask": options.mask * share, "random": options.random * share}


MASK = Step(
    name="mask",
    summary="some words of a sentence hidden, a few exchanged",
    paper="BERT, Devlin et al. 2019",
    options=MaskOptions,
    bare="rate",
    build=MaskTokens,
    modalities=("tokens",),
    keeps_unit=False,
    strength=Strength(
        "`mask` and `random`, up to a sum of 1: the other chosen words stay", _weaker
    ),
)
