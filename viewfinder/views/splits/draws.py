"""Several draws of the steps: large views by the first and the second list in turn, then small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Pixels
from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec, overridden
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.options import Areas
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import render_views
from viewfinder.views.steps.crop import CROP


class DrawsOptions(Options):
    """How many views there are, and of what size."""

    count: int = Field(2, ge=1, le=1_000, description="views of each image")
    small_count: int = Field(
        0,
        ge=0,
        le=1_000,
        description="further views of small crops (multi-crop); swav and dino know them",
    )
    small_size: Pixels | None = Field(
        None, description="side of the small views, px; null: half of size"
    )
    small_scale: Areas = Field(
        (0.05, 0.25), description="area of the small crops, fractions of the image"
    )


class Draws(ViewMaker):
    """Views 0, 2, ... by the first list, 1, 3, ... by the second; small views likewise behind."""

    def __init__(self, options: DrawsOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        self.source = first.domain
        self.count = options.count
        pair = [first] if first == second else [first, second]  # one list is built once
        large = [Pipeline(spec) for spec in pair[: options.count]]
        small = [_small(spec, options) for spec in pair[: options.small_count]]
        self.pipelines = nn.ModuleList([*large, *small])
        self.order = (
            *(i % len(large) for i in range(options.count)),
            *(len(large) + i % len(small) for i in range(options.small_count)),
        )
        self.domains = tuple(self._pipeline(i).domain for i in range(len(self.order)))

    def _pipeline(self, i: int) -> Pipeline:
        """That of view i."""
        found = self.pipelines[self.order[i]]
        assert isinstance(found, Pipeline)
        return found

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        views = range(len(self.order))
        if len(batches) not in (1, len(views)):
            raise ValueError(
                f"{len(batches)} batches for {len(views)} views; one for each expected"
            )
        times = 1 if len(batches) == len(views) else len(views)
        were = None if sides is None else list(sides) * times
        pipelines = [self._pipeline(i) for i in views]
        return render_views(pipelines, list(batches) * times, generator, were)

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        return {self.domains[0].network: self._pipeline(0).frozen(data, sides)}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        return self._pipeline(i).shown(view)

    def describe_frozen(self) -> str:
        return self._pipeline(0).describe_frozen()


def small_side(size: int) -> int:
    """Side of the small views, px, where it is not given: half of that of the large ones."""
    return max(4, size // 2)


def _small(like: ViewSpec, options: DrawsOptions) -> Pipeline:
    """Steps that differ from a large view's in size and crop alone; what does not fit is
    refused."""
    size = options.small_size or small_side(like.domain.size)
    domain = replace(like.domain, shape=(like.domain.channels, size, size))
    spec = ViewSpec(overridden(like.items, CROP, {"scale": options.small_scale}), domain)
    try:
        return Pipeline(spec)
    except OptionError as error:
        message, fix = error.marked
        raise OptionError(f"small views of {size} px: {message}", fix=fix) from error


DRAWS = Split(
    name="draws",
    summary="several draws of the steps, the first list and the second in turn; then small ones",
    options=DrawsOptions,
    bare="count",
    build=Draws,
    modalities=("images", "points", "tokens"),
    partners=True,
)
