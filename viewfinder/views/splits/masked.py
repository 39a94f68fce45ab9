"""A sentence with words hidden, and the words that were: BERT's views of a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.steps.mask import MaskTokens

NOT_ASKED = -1


class Masked(ViewMaker):
    """The masked sentence, int64 (N, T), and the words that were chosen, int64 (N, T), -1 for the
    others: VINCE's view sets v and u of a text (Wu et al. 2020, section 5.1).

    The second passes through no network. What is asked of the first are its chosen places, and
    their index is the word that stood there.
    """

    def __init__(self, options: Options, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        self.source, self.count = first.domain, 1
        self.pipeline = Pipeline(first)
        masks = [t for t in self.pipeline.transforms if isinstance(t, MaskTokens)]
        if len(masks) != 1 or len(first.items) != 1 or first != second:
            raise UserError(
                "views.split=masked asks for the words that the step mask hides: one list with "
                "that step alone is expected",
                fix="views.steps=[mask]",
            )
        self.mask = masks[0]
        self.domains = (self.pipeline.domain, self.pipeline.domain)

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        (data,) = batches
        drawn = self.mask.draw(len(data), self.source, generator)
        asked = self.mask.chosen(data, drawn)
        return [self.mask(data, drawn), data.masked_fill(~asked, NOT_ASKED)]

    def asked(self, views: Sequence[Tensor]) -> Tensor | None:
        return views[1] != NOT_ASKED

    def index(self, views: Sequence[Tensor], index: Tensor) -> Tensor:
        return views[1][views[1] != NOT_ASKED]

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        return {self.domains[0].network: self.pipeline.frozen(data, sides)}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        return view

    def describe_frozen(self) -> str:
        return self.pipeline.describe_frozen()


MASKED = Split(
    name="masked",
    summary="a sentence with words hidden, and the hidden words, which are what is asked",
    paper="BERT, Devlin et al. 2019; VINCE, Wu et al. 2020, section 5.1",
    build=Masked,
    modalities=("tokens",),
    views=1,
    asks=True,
)
