"""The low and the high frequencies of one draw: its blur, and what the blur leaves out."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import Split
from viewfinder.views.pipeline import check_view, grey_view
from viewfinder.views.splits.parted import Parted
from viewfinder.views.steps.blur import gaussian_blur

REACH = 4  # standard deviations to either side that a Gaussian is sampled for, as SciPy does


class FrequencyOptions(Options):
    """Where the frequencies are cut."""

    sigma: float = Field(
        1.0, ge=0.01, le=100, description="standard deviation of the Gaussian that parts them, px"
    )


class Frequency(Parted):
    """``v1 = Blur(x, sigma)`` and ``v2 = x - v1`` (Tian et al. 2020, appendix B.3): low | high.

    The two sum up to the draw. The Gaussian is cut at 4 sigma, or where it would reach beyond the
    image's other side; the border is reflected.
    """

    def __init__(self, options: FrequencyOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__("frequency", first, second)
        self.sigma = options.sigma
        channels = self.pipeline.domain.channels
        self.domains = self._two(channels, channels)

    def parts(self, x: Tensor) -> list[Tensor]:
        radius = min(math.ceil(REACH * self.sigma), min(x.shape[-2:]) - 1)
        # an autocast around the training step must not round the residual
        with torch.autocast(x.device.type, enabled=False):
            low = gaussian_blur(x, x.new_full((len(x),), self.sigma), 2 * radius + 1)
            return [low.contiguous(), x - low]

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """The low frequencies as they are; the high ones around mid-grey."""
        check_view(view)
        return self.pipeline.shown(view if i == 0 else grey_view(self.pipeline, view) + view)

    def describe_frozen(self) -> str:
        return f"{self.pipeline.describe_frozen()} | blur {self.sigma:g}"


FREQUENCY = Split(
    name="frequency",
    summary="a draw's Gaussian blur, and what it leaves out: two networks",
    paper="Tian et al. 2020 (InfoMin), appendix B.3",
    options=FrequencyOptions,
    bare="sigma",
    build=Frequency,
    views=2,
)
