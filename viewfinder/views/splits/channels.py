"""The channels of one draw: some are one view, the others another, and each has its own network."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from viewfinder.core.errors import OptionError
from viewfinder.core.table import Options
from viewfinder.views.items import ViewSpec
from viewfinder.views.maker import Split
from viewfinder.views.pipeline import check_view, grey_view
from viewfinder.views.splits.parted import Parted


class ChannelsOptions(Options):
    """Where the channels are cut."""

    split: int = Field(
        1, ge=1, le=1_024, description="channels of the first view; the second has the rest"
    )


class Channels(Parted):
    """One draw of the steps, cut after ``split`` channels: L and ab of Lab, for example."""

    def __init__(self, options: ChannelsOptions, first: ViewSpec, second: ViewSpec) -> None:
        super().__init__("channels", first, second)
        self.split = options.split
        whole = self.pipeline.domain.channels
        if whole <= self.split:
            raise OptionError(
                f"@split=channels: the first {self.split} of {whole} channels leave "
                "none for the second view",
                fix="@split=channels:1 with images of 2 channels or more",
            )
        self.domains = self._two(self.split, whole - self.split)

    def parts(self, x: Tensor) -> list[Tensor]:
        return [x[:, : self.split].contiguous(), x[:, self.split :].contiguous()]

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """View i with the other's channels as in an image that is mid-grey throughout."""
        check_view(view)
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
