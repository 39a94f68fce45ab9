"""The channels of one draw: some are one view, the others another, and each has its own network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec, plain
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.pipeline import Pipeline, grey_view
from viewfinder.views.render import render_views


class ChannelsOptions(Options):
    """Where the channels are cut."""

    split: int = Field(
        1, ge=1, le=1_024, description="channels of the first view; the second has the rest"
    )


class Channels(ViewMaker):
    """One draw of the steps, cut after ``split`` channels: L and ab of Lab, for example."""

    def __init__(self, options: ChannelsOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        if first != second:
            raise UserError(
                "views.split=channels cuts one draw of the steps, but the lists of the first and "
                f"the second view differ: {plain(first.items)} and {plain(second.items)}",
                fix="views.steps for both, without views.first and views.second",
            )
        self.source, self.split, self.count = first.domain, options.split, 2
        self.pipeline = Pipeline(first)
        whole = self.pipeline.domain
        rest = whole.channels - self.split
        if rest < 1:
            raise UserError(
                f"views.split=channels: the first {self.split} of {whole.channels} channels leave "
                "none for the second view",
                fix="views.split=channels:1 with images of 2 channels or more",
            )
        self.domains = tuple(
            replace(whole, shape=(channels, *whole.shape[1:]), network=network)
            for channels, network in ((self.split, "first"), (rest, "second"))
        )

    def _cut(self, x: Tensor) -> list[Tensor]:
        return [x[:, : self.split].contiguous(), x[:, self.split :].contiguous()]

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        if len(batches) != 1:
            raise ValueError("the channels are of one batch; several were given")
        return self._cut(render_views([self.pipeline], batches, generator, sides)[0])

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        views = self._cut(self.pipeline.frozen(data, sides))
        return {domain.network: view for domain, view in zip(self.domains, views, strict=True)}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """View i with the other's channels as in an image that is mid-grey throughout."""
        whole = grey_view(self.pipeline, view).expand(len(view), -1, *view.shape[2:]).clone()
        whole[:, slice(0, self.split) if i == 0 else slice(self.split, None)] = view
        return self.pipeline.shown(whole)

    def describe_frozen(self) -> str:
        return f"{self.pipeline.describe_frozen()} | {self.split}"


CHANNELS = Split(
    name="channels",
    summary="the first channels of one draw, and the rest: two networks",
    paper="Tian et al. 2020 (CMC)",
    options=ChannelsOptions,
    bare="split",
    build=Channels,
    views=2,
)
