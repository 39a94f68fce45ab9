"""A grid of overlapping patches of one draw, in order: one view."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Pixels
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.pipeline import Pipeline, check_view
from viewfinder.views.render import render_views


class GridOptions(Options):
    """How large the patches are, and how much of each its neighbours have."""

    patch: Pixels | None = Field(
        None, description="side of a patch, px; null: a quarter of views.size"
    )
    overlap: float = Field(
        0.5, ge=0, lt=1, description="share of a patch that the next one has too"
    )


class Grid(ViewMaker):
    """Patches of a draw of the steps, row by row: (N, rows x columns, C, patch, patch).

    As contrastive predictive coding has it (van den Oord et al. 2018): of an image of 256 px 7 x 7
    patches of 64 px, each half over the next. What does not fill a patch is left out at all borders
    alike. The view is for a network that takes clips: an encoder of patches with a context network.

    Raises UserError for a patch that is larger than the view.
    """

    def __init__(self, options: GridOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        self.source, self.count = first.domain, 1
        self.pipeline = Pipeline(first)
        self.side = self.pipeline.domain.size
        self.patch = options.patch or max(1, self.side // 4)
        if self.patch > self.side:
            raise OptionError(
                f"@split=grid: patches of {self.patch} px do not fit into views of {self.side} px",
                fix=f"{{grid: {{patch: {max(1, self.side // 4)}}}}}",
            )
        self.step = max(1, round(self.patch * (1 - options.overlap)))
        self.rows = (self.side - self.patch) // self.step + 1
        self.covered = (self.rows - 1) * self.step + self.patch
        shape = (self.rows**2, self.pipeline.domain.channels, self.patch, self.patch)
        self.domains = (Domain("clips", shape, self.pipeline.domain.network),)

    def cut(self, x: Tensor) -> Tensor:
        """The patches of views (N, C, side, side)."""
        start = (self.side - self.covered) // 2
        x = x[:, :, start : start + self.covered, start : start + self.covered]
        parts = x.unfold(2, self.patch, self.step).unfold(3, self.patch, self.step)
        return parts.permute(0, 2, 3, 1, 4, 5).flatten(1, 2).contiguous()

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        return [self.cut(render_views([self.pipeline], batches, generator, sides)[0])]

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        return {self.domains[0].network: self.cut(self.pipeline.frozen(data, sides))}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """The patches where they were: the part of the draw that they cover."""
        check_view(view)
        n = len(view)
        columns = view.flatten(2).transpose(1, 2)
        laid, times = (
            F.fold(x, self.covered, self.patch, stride=self.step)
            for x in (columns, torch.ones_like(columns))
        )
        return self.pipeline.shown((laid / times).view(n, -1, self.covered, self.covered))

    def describe_frozen(self) -> str:
        return f"{self.pipeline.describe_frozen()} | grid {self.patch} {self.step}"


GRID = Split(
    name="grid",
    summary="a grid of overlapping patches in one view, for a network that takes clips",
    paper="van den Oord et al. 2018 (CPC)",
    options=GridOptions,
    bare="patch",
    build=Grid,
    views=1,
)
