"""What splits that part one draw of the steps have in common: two views, a network for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.data.domain import Domain
from viewfinder.views.items import ViewSpec, plain
from viewfinder.views.maker import ViewMaker
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import render_views


class Parted(ViewMaker):
    """One draw of the steps, parted in two; ``parts`` says how.

    Raises UserError where the lists of the first and the second view differ: there is one draw.
    """

    def __init__(self, name: str, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        if first != second:
            raise OptionError(
                f"@split={name} cuts one draw of the steps, but the lists of the first and "
                f"the second view differ: {plain(first.items)} and {plain(second.items)}",
                fix="@steps for both, without @first and @second",
                own="one list of steps, without second",
            )
        self.source, self.count = first.domain, 2
        self.pipeline = Pipeline(first)

    def _two(self, *channels: int) -> tuple[Domain, ...]:
        """The domains of two views with so many channels each."""
        whole = self.pipeline.domain
        return tuple(
            replace(whole, shape=(each, *whole.shape[1:]), network=network)
            for each, network in zip(channels, ("first", "second"), strict=True)
        )

    def parts(self, x: Tensor) -> list[Tensor]:
        """The two views of a draw (N, C, H, W)."""
        raise NotImplementedError

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        return self.parts(render_views([self.pipeline], batches, generator, sides)[0])

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        views = self.parts(self.pipeline.frozen(data, sides))
        return {domain.network: view for domain, view in zip(self.domains, views, strict=True)}
