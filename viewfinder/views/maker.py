"""What makes the views of a batch, and the rows of the table of splits that build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.core.table import Row
from viewfinder.data.domain import Domain, Modality
from viewfinder.views.items import ViewSpec
from viewfinder.views.pipeline import check_data, check_sides


class ViewMaker(nn.Module):
    """Makes the views of a batch, on its device.

    source   what the data are; of images the sides may differ from it
    domains  what each view is, in order
    count    number of large views; small ones follow them
    layers   the factors whose layers it composes views of, see ``viewfinder.data.source.layers_of``
    partners whether each view may be of a batch of its own, as the row of its split declares
    """

    source: Domain
    domains: tuple[Domain, ...]
    count: int
    layers: tuple[str, ...] = ()
    partners: bool = True

    @property
    def networks(self) -> dict[str, Domain]:
        """The networks that the views need by name, each with the first of its domains."""
        found: dict[str, Domain] = {}
        for domain in self.domains:
            found.setdefault(domain.network, domain)
        return found

    @property
    def encoders(self) -> dict[str, Domain]:
        """Those of the networks that have an encoder of their own: what an evaluation has."""
        return {name: one for name, one in self.networks.items() if one.pieces_of is None}

    def make(
        self,
        batches: Sequence[Tensor],
        generator: torch.Generator,
        sides: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        """The views of one batch; or each view of a batch of its own, where the split allows it.

        sides  of each batch, see ``forward``; it is given where some batch has them
        """
        raise NotImplementedError

    def recomposed(
        self, data: Tensor, generator: torch.Generator, factors: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The views of a batch by a maker that composes them of ``layers``."""
        raise NotImplementedError

    def asked(self, views: Sequence[Tensor]) -> Tensor | None:
        """The places of the first view that are the queries, bool (N, L); None: the view is one."""
        return None

    def index(self, views: Sequence[Tensor], index: Tensor) -> Tensor:
        """Of which datum each query is, int64: of ``index`` (N,); or of asked places what stands
        there."""
        return index[: len(views[0])]

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> dict[str, Tensor]:
        """What each encoder sees in an evaluation: no chance, only what makes its input of data.

        Images uint8 (N, C, H, W) are resized to the size: below 147 px the whole image, from there
        on the shorter side to 256/224 of the size, and the centre of that. ``sides``: see
        ``forward``. Returns float32 (N, ...) of the network's domain, by the network's name.
        """
        raise NotImplementedError

    def shown(self, view: Tensor, i: int = 0) -> Tensor:
        """View i as a picture: float (N, 1 or 3 or the images' C, H, W) in [0, 1]."""
        raise NotImplementedError

    def describe_frozen(self) -> str:
        """What ``frozen`` does, in words; equal words mean equal views."""
        raise NotImplementedError

    def forward(
        self,
        data: Tensor | Sequence[Tensor],
        generator: torch.Generator | None = None,
        sides: Tensor | Sequence[Tensor | None] | None = None,
        factors: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """The views, one tensor each, float32 (N, ...) of ``domains``, on the data's device.

        data       uint8 (N, C, H, W), points float (N, D), or clips uint8 (N, T, C, H, W); or one
                   datum without the batch, whose views then have none either (as in torchvision's
                   ``v2.Compose``); or a list with a batch for each view, of as many data that
                   count as the same
        generator  on the data's device; the views depend on it and the data alone. None: one that
                   is seeded from torch's global stream
        sides      integers (N, 2) of each batch: height and width that its images had before they
                   were made equal. Crops are drawn on these. None: they are as they were
        factors    of the batch, for a maker that composes views of layers

        Raises ValueError for another shape, dtype or device, for several batches where all views
        are of one, and for sides that are none (on a GPU their values are not looked at).
        """
        batches = _batches(data)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(
                f"the second argument is a {type(generator).__name__}; a torch.Generator is "
                "expected. A transform of pairs (image, label) needs "
                "lambda image, label: (views(image), label)"
            )
        self._check_batches(batches)
        if (
            len(batches) > 1
            and len(batches) > len(self.domains)
            and batches[0].ndim == len(self.source.shape)
        ):
            raise ValueError(
                f"{len(batches)} single images were given as a list, which is read as a batch for "
                "each view; give torch.stack(images)"
            )
        single = all(x.ndim == len(self.source.shape) for x in batches)
        batches = [
            x.as_subclass(Tensor)[None] if single else x.as_subclass(Tensor) for x in batches
        ]
        for x in batches:
            check_data(x, self.source)
        device = batches[0].device
        if generator is None:
            seed = int(torch.randint(2**62, ()))
            generator = torch.Generator(device).manual_seed(seed)
        if generator.device.type != device.type:
            raise ValueError(
                f"the generator is on {generator.device}, the data are on {device}; "
                "one device is expected"
            )
        if self.layers:
            return self.recomposed(batches[0], generator, factors or {})
        were = [sides] if sides is None or isinstance(sides, Tensor) else list(sides)
        if all(one is None for one in were):
            views = self.make(batches, generator)
        else:
            were = [one[None] if single and one is not None else one for one in were]
            if len(were) != len(batches):
                raise ValueError(f"sides of {len(were)} batches are given for {len(batches)}")
            for x, one in zip(batches, were, strict=True):
                check_sides(x, one)
            views = self.make(batches, generator, were)
        return [view[0] for view in views] if single else views

    def _check_batches(self, batches: Sequence[Tensor]) -> None:
        sizes = [len(x) for x in batches]
        if not batches or (len(batches) > 1 and not self.partners):
            raise ValueError(f"all views are of one batch; {len(batches)} were given")
        if len({*sizes}) > 1:
            raise ValueError(
                f"the batches of the views have {sizes} data; row i of each counts as the same, so "
                "as many of each are expected"
            )


def _batches(data: Any) -> list[Tensor]:
    """The batches that are given; raises ValueError for what is none."""
    if isinstance(data, Tensor):
        return [data]
    if isinstance(data, list | tuple):
        wrong = next((x for x in data if not isinstance(x, Tensor)), None)
        if wrong is None:
            return list(data)
        met = f"a list with a {type(wrong).__name__}"
    else:
        met = f"a {type(data).__name__}"
    raise ValueError(
        f"{met} was given; tensors are expected, images uint8 (C, H, W) or (N, C, H, W): of a "
        "picture torchvision's v2.PILToTensor() makes one, of an array (H, W, C) "
        "torch.from_numpy(x).permute(2, 0, 1)"
    )


@dataclass(frozen=True, kw_only=True)
class Split(Row):
    """A way to get several views of a datum.

    build       (options, steps of the first view, steps of the second) -> ViewMaker
    modalities  that it takes
    views       how many large views it always gives; None: as its option ``count`` says
    partners    each view may be of another datum, one that counts as the same
    asks        the queries are places of the first view, see ``ViewMaker.asked``; the views behind
                the large ones say which
    """

    build: Callable[[Any, ViewSpec, ViewSpec], ViewMaker]
    modalities: tuple[Modality, ...] = ("images",)
    views: int | None = None
    partners: bool = False
    asks: bool = False
