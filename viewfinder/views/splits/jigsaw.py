"""The image, and its jigsaw: pieces of another crop of it, out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Pixels
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.views.items import Item, ViewSpec
from viewfinder.views.maker import Split
from viewfinder.views.options import Areas, Probability
from viewfinder.views.pipeline import Pipeline, check_view
from viewfinder.views.render import render_views
from viewfinder.views.splits.draws import Draws, DrawsOptions
from viewfinder.views.splits.patches import windows
from viewfinder.views.steps.crop import CROP, CropOptions
from viewfinder.views.steps.flip import FLIP

CELL, PIECE, AT = 85, 64, 224  # px at views of 224 px, as PIRL's and InfoMin's code have them


def cells(n: int, grid: int, slack: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A permutation of the cells of each image, and where in its cell each piece is cut.

    Returns order int64 (n, grid^2), the cell that each piece in turn is of; and place int64
    (n, grid^2, 2), top and left within the cell, uniform from 0 to ``slack``.
    """
    count, device = grid * grid, generator.device
    order = torch.rand(n, count, generator=generator, device=device).argsort(1)
    drawn = torch.rand(n, count, 2, generator=generator, device=device)
    return order, (drawn * (slack + 1)).long().clamp(max=slack)


class JigsawOptions(Options):
    """How the jigsaw is cut, and what its loss weighs."""

    count: int = Field(1, ge=1, le=1_000, description="whole views of each image")
    weight: Probability = Field(
        0.5, description="of the jigsaw's loss; the whole view's has the rest"
    )
    grid: int = Field(3, ge=1, le=32, description="cells to a side")
    cell: Pixels | None = Field(
        None, description="side of a cell, px; null: 85 at views of 224 px, in proportion"
    )
    piece: Pixels | None = Field(
        None, description="side of the piece cut from each cell at random, px; null: 64 of 85"
    )
    scale: Areas = Field((0.6, 1.0), description="area of its crop, fractions of the image")


class Jigsaw(Draws):
    """Draws of the steps; behind them, for a network of pieces, a jigsaw (N, grid^2, C, p, p).

    The jigsaw's image has a crop and a flip of its own, none of the colour steps, and the steps
    that evaluation sees too, as in the released code of InfoMin: of each cell of its grid a piece
    is cut at random, and the pieces are permuted (Misra and van der Maaten 2020, PIRL).
    """

    def __init__(self, options: JigsawOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__(DrawsOptions(count=options.count), first, second)
        size = first.domain.size
        self.grid, self.cell = options.grid, options.cell or max(4, round(size * CELL / AT))
        self.piece = options.piece or max(3, round(self.cell * PIECE / CELL))
        if self.piece > self.cell:
            raise OptionError(
                f"@split=jigsaw: pieces of {self.piece} px do not fit into cells of {self.cell} px",
                fix=f"{{jigsaw: {{cell: {self.cell}, piece: {self.cell}}}}}",
            )
        self.jigsaw = Pipeline(_plain_steps(first, options.scale, self.grid * self.cell))
        whole = self.domains[0]
        shape = (self.grid**2, self.jigsaw.domain.channels, self.piece, self.piece)
        large = tuple(replace(one, weight=1 - options.weight) for one in self.domains)
        self.domains = (
            *large,
            Domain("clips", shape, "jigsaw", pieces_of=whole.network, weight=options.weight),
        )

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        (data,) = batches
        large = super().make(batches, generator, sides)
        (whole,) = render_views([self.jigsaw], batches, generator, sides)
        order, place = cells(len(data), self.grid, self.cell - self.piece, generator)
        corner = torch.stack([order // self.grid, order % self.grid], 2) * self.cell + place
        return [*large, windows(whole, corner[..., 0], corner[..., 1], self.piece)]

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """The jigsaw as its pieces lie, side by side."""
        check_view(view)
        if i < self.count:
            return super().shown(view, i)
        n, _, channels, side, _ = view.shape
        laid = view.view(n, self.grid, self.grid, channels, side, side).permute(0, 3, 1, 4, 2, 5)
        return self.jigsaw.shown(laid.reshape(n, channels, self.grid * side, self.grid * side))


def _plain_steps(like: ViewSpec, scale: tuple[float, float], size: int) -> ViewSpec:
    """A crop, a flip, and of a list what evaluation sees too, for squares of ``size`` px."""
    kept = [item for item in like.items if item.step.frozen]
    steps = (Item(CROP, CropOptions(scale=scale)), Item(FLIP, FLIP.options()), *kept)
    return ViewSpec(steps, replace(like.domain, shape=(like.domain.channels, size, size)))


JIGSAW = Split(
    name="jigsaw",
    summary="draws of the steps, and a jigsaw of the image: its network joins nine pieces",
    paper="Misra and van der Maaten 2020 (PIRL)",
    options=JigsawOptions,
    bare="weight",
    build=Jigsaw,
)
