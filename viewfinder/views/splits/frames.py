"""Frames of clips: past ones and a later one that shows some of what they show; or a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.ranges import Count
from viewfinder.core.table import Options
from viewfinder.data.domain import Domain
from viewfinder.data.moving_digits.scene import composed
from viewfinder.data.moving_digits.source import FACTORS
from viewfinder.views.items import ViewSpec, plain
from viewfinder.views.maker import Split, ViewMaker
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.splits.draws import Draws, DrawsOptions

Factor = Literal["digit", "position", "background"]


class FramesOptions(Options):
    """Which frames are the views, and what the later one shares."""

    past: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="frames of the first view, from the clip's first on; null: all before the "
        "later one",
    )
    every: Count = Field(1, description="of the past frames the last, and every so many before it")
    future: Count | None = Field(
        None, description="which frame of the clip the later one is, from 1; null: its last"
    )
    share: tuple[Factor, ...] | None = Field(
        None,
        description="what the later frame shows of the clip, of digit, position and background: "
        "the rest is drawn anew, of data that know their layers; null: it is as it is",
    )


class Frames(ViewMaker):
    """Two views of a clip for two networks: past frames (N, T, C, H, W), a later one (N, C, H, W).

    With ``share`` the later frame is composed anew: of the factors that are shared it shows the
    clip's own (its very digit and background, not others of their classes; and the place that they
    have in that frame), of the others those of scenes that were drawn independently of all clips,
    dealt out anew over the batch at every step (Tian et al. 2020, section 4.1: "setting one of the
    three factors the same as x_t but randomly picking the other two"). What is not shared therefore
    agrees by chance alone, and no two later frames of a batch have one scene's layer.

    Each frame goes through the steps as an image; only steps that evaluation sees too may be in the
    list, as chance would be another for each frame. Evaluation sees the later frame.

    Raises UserError for clips that are too short and for steps by chance.
    """

    def __init__(self, options: FramesOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__()
        self.source = first.domain
        _check_steps(first, second)
        length, *shape = first.domain.shape
        self.future = (options.future or length) - 1
        past = self.future if options.past is None else options.past
        if not 0 < past <= self.future < length:
            raise UserError(
                f"views.split=frames: {past} past frames and frame {self.future + 1} need clips of "
                f"{max(past, self.future, 1) + 1} frames with the later one behind the others; "
                f"these have {length}",
                fix="fewer past frames, or longer clips",
            )
        self.past = [*range(past - 1, -1, -options.every)][::-1]
        image = replace(first.domain, modality="images", shape=tuple(shape))
        self.pipeline = Pipeline(ViewSpec(first.items, image), cut=True)
        frame = replace(self.pipeline.domain, network="frame")
        clip = Domain("clips", (len(self.past), *frame.shape), "clip")
        self.domains, self.count = (clip, frame), 2
        # with all of them shared the later frame is as it is
        shared = FACTORS if options.share is None else options.share
        self.share = tuple(name for name in FACTORS if name in shared)
        self.layers = () if self.share == FACTORS else FACTORS

    @property
    def encoders(self) -> dict[str, Domain]:
        """That of the later frame alone: an evaluation is of single frames."""
        return {"frame": self.domains[-1]}

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        return self._views(batches[0], batches[0][:, self.future])

    def recomposed(
        self, data: Tensor, generator: torch.Generator, factors: Mapping[str, Tensor]
    ) -> list[Tensor]:
        return self._views(data, self.later(factors, generator))

    def later(self, factors: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """The later frames, uint8 (N, C, H, W): of each factor that is shared the clip's own, of
        the others that of another scene.

        Raises UserError where the layers are not known.
        """
        _check_layers(factors, self.share)
        n, device = len(factors[FACTORS[0]]), generator.device
        shown = {}
        for name in FACTORS:
            own, other = factors[name].unbind(1)
            order = torch.randperm(n, generator=generator, device=device)
            shown[name] = own if name in self.share else other[order]
        place = shown["position"][:, self.future, None]
        return composed(shown["background"], shown["digit"], place)[:, 0]

    def _views(self, clips: Tensor, later: Tensor) -> list[Tensor]:
        past = self._seen(clips[:, self.past].flatten(0, 1))
        return [past.view(len(clips), *self.domains[0].shape), self._seen(later)]

    def _seen(self, frames: Tensor) -> Tensor:
        x = frames.float() / 255
        for step in self.pipeline.transforms:
            x = step(x, {})
        return x.contiguous()

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        """The later frame as it is, with the steps."""
        return {"frame": self._seen(data[:, self.future])}

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """A frame as a picture; past frames side by side, (N, C, H, past x W)."""
        if view.ndim == 4:
            return self.pipeline.shown(view)
        n, times, channels, height, width = view.shape
        laid = self.pipeline.shown(view.flatten(0, 1)).view(n, times, channels, height, width)
        return laid.permute(0, 2, 3, 1, 4).reshape(n, channels, height, times * width)

    def describe_frozen(self) -> str:
        return f"{self.pipeline.describe_frozen()} | frame {self.future + 1}"


def _check_steps(first: ViewSpec, second: ViewSpec) -> None:
    if first != second:
        raise UserError(
            "views.split=frames shows all frames of a clip alike, but the lists of the first and "
            f"the second view differ: {plain(first.items)} and {plain(second.items)}",
            fix="views.steps for both, without views.first and views.second",
        )
    chance = [item.step.name for item in first.items if not item.step.frozen]
    if chance:
        raise UserError(
            f"views.split=frames: the step {chance[0]} is drawn by chance, for each frame of a "
            "clip anew",
            fix="views.steps=[normalise]",
        )


def _check_layers(factors: Mapping[str, Tensor], share: Sequence[str]) -> None:
    missing = [name for name in FACTORS if name not in factors]
    if missing:
        raise UserError(
            f"views.split=frames shares {', '.join(share) or 'nothing'}, and composes the rest "
            f"anew: the {missing[0]} of these data is not known",
            fix="data=moving-digits, or views.split=frames, which takes the later frame as it is",
        )


class FrameOptions(DrawsOptions):
    """Which frame is looked at, and how many views of it."""

    number: Count | None = Field(None, description="of the frame, from 1; null: the clip's last")


class Frame(Draws):
    """Draws of the steps from one frame of a clip, as from an image.

    Raises UserError for clips that are too short.
    """

    def __init__(self, options: FrameOptions, first: ViewSpec, second: ViewSpec) -> None:
        length, *shape = first.domain.shape
        self.number = options.number or length
        if self.number > length:
            raise UserError(
                f"views.split=frame: there is no frame {self.number} in clips of {length}",
                fix=f"views.split=frame:{length}",
            )
        specs = [
            replace(one, domain=replace(one.domain, modality="images", shape=tuple(shape)))
            for one in (first, second)
        ]
        super().__init__(options, *specs)
        self.source = first.domain

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        return super().make([clips[:, self.number - 1] for clips in batches], generator)

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        return super().frozen(data[:, self.number - 1])

    def describe_frozen(self) -> str:
        return f"{super().describe_frozen()} | frame {self.number}"


FRAME = Split(
    name="frame",
    summary="draws of the steps from one frame of a clip",
    options=FrameOptions,
    bare="number",
    build=Frame,
    modalities=("clips",),
    partners=True,
)
FRAMES = Split(
    name="frames",
    summary="past frames of a clip and a later one, which shares what is chosen: two networks",
    paper="Tian et al. 2020 (InfoMin), section 4.1 and appendix B.4",
    options=FramesOptions,
    bare="future",
    build=Frames,
    modalities=("clips",),
    views=2,
)
