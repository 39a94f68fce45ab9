"""Two patches of one large image, so many pixels apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from viewfinder.core.errors import OptionError
from viewfinder.core.ranges import Pixels
from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import render_views
from viewfinder.views.steps.crop import resized_crop


def windows(images: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    """Square windows of images, each at its own place.

    images (N, C, H, W) of any type; top, left int64 (N,) or (N, K): K windows of each image
    Returns (N, C, size, size), or (N, K, C, size, size).
    """
    several = top.ndim == 2
    top, left = (x if several else x[:, None] for x in (top, left))
    steps = torch.arange(size, device=images.device)
    rows = (top[:, :, None] + steps)[:, :, None, :, None]
    columns = (left[:, :, None] + steps)[:, :, None, None, :]
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1, 1)
    channel = torch.arange(images.shape[1], device=images.device).view(1, 1, -1, 1, 1)
    found = images[image, channel, rows, columns]
    return found if several else found[:, 0]


class PatchesOptions(Options):
    """How large the patches are, and how far apart."""

    offset: int = Field(
        128,
        ge=0,
        le=16_384,
        description="from the first patch to the second, right and down, px each",
    )
    size: Pixels | None = Field(None, description="side of the patches, px; null: views.size")
    reach: int | None = Field(
        None,
        ge=0,
        le=16_384,
        description="largest offset of a sweep, px: places are drawn where it would fit, so that "
        "they are spread alike for every offset; null: the offset",
    )


def _frames(images: Tensor, sides: Tensor | None) -> Tensor:
    """Height and width of each image as it was, its shorter side having the pixels it is stored
    with: int64 (N, 2)."""
    if sides is None:
        return torch.tensor([images.shape[2:]], device=images.device).expand(len(images), 2)
    were = sides.long()
    return min(images.shape[2:]) * were // were.amin(1, keepdim=True)


class Patches(ViewMaker):
    """Patches at (x, y) and (x + offset, y + offset) of an image, each through the steps.

    (x, y) is uniform where patches ``reach`` apart fit: of the same distribution for every offset
    up to it, the second patch's the same except for the shift. Without ``reach`` a larger offset
    leaves less room and pushes the patches to the border, which is why the paper takes images that
    are large against it (appendix B.1); ``reach`` keeps offset and place apart in any.

    Raises UserError for images that are too small.
    """

    def __init__(self, options: PatchesOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        self.offset, self.count, self.source = options.offset, 2, first.domain
        self.reach = self.offset if options.reach is None else options.reach
        self.size = options.size or first.domain.size
        if self.offset > self.reach:
            raise OptionError(
                f"@split=patches: the offset is {self.offset} px, the largest of the sweep "
                f"is said to be {self.reach}",
                fix=f"{{patches: {{offset: {self.offset}, reach: {self.offset}}}}}",
            )
        shape = (first.domain.channels, self.size, self.size)
        self.pipelines = nn.ModuleList(
            Pipeline(replace(spec, domain=replace(spec.domain, shape=shape)), cut=True)
            for spec in (first, second)
        )
        self.domains = tuple(self._pipeline(i).domain for i in range(2))

    def _pipeline(self, i: int) -> Pipeline:
        found = self.pipelines[i]
        assert isinstance(found, Pipeline)
        return found

    def places(self, frames: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Top and left of the first patch, int64 (N,) each; of the second ``offset`` more.

        frames  int64 (N, 2), height and width of each image
        Raises UserError for images that are too small.
        """
        least = self.size + self.reach
        if int(frames.min()) < least:
            small = frames[frames.amin(1).argmin()].tolist()
            told = f"patches of {self.size} px that are {self.reach} px apart"
            raise OptionError(
                f"@split=patches: {told} need images of {least} px or more; the smallest has "
                f"{small[0]} x {small[1]}",
                fix="larger images, a smaller offset or a smaller size",
            )
        room = (frames - least).T
        drawn = torch.rand(2, len(frames), generator=generator, device=generator.device)
        # float32 can round u * (room + 1) up to room + 1 itself
        top, left = torch.minimum((drawn * (room + 1)).long(), room)
        return top, left

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        (images,) = batches
        were = None if sides is None else sides[0]
        frames = _frames(images, were)
        top, left = self.places(frames, generator)
        patches = [self._cut(images, frames, were, top + d, left + d) for d in (0, self.offset)]
        return render_views([self._pipeline(0), self._pipeline(1)], patches, generator)

    def _cut(
        self, images: Tensor, frames: Tensor, sides: Tensor | None, top: Tensor, left: Tensor
    ) -> Tensor:
        """A patch of each image: its pixels, or, where it is stored with other sides than it had,
        resized."""
        if sides is None:
            return windows(images, top, left, self.size)
        scale = torch.tensor(images.shape[2:], device=frames.device) / frames
        corner = torch.stack([top, left], 1)
        boxes = torch.cat([corner * scale, self.size * scale], 1)
        return resized_crop(images, boxes, self.size, bounded=False)

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        """The image at the size of a patch, as evaluation sees all images."""
        return {self.domains[0].network: self._pipeline(0).frozen(data, sides)}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        return self._pipeline(i).shown(view)

    def describe_frozen(self) -> str:
        return self._pipeline(0).describe_frozen()


PATCHES = Split(
    name="patches",
    summary="two patches of a large image, so many pixels apart",
    paper="Tian et al. 2020 (InfoMin), section 3.3 and appendix B.1",
    options=PatchesOptions,
    bare="offset",
    build=Patches,
    views=2,
)
