"""The steps of one view, built and checked against what they will meet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.core.errors import OptionError, UserError
from viewfinder.core.files import content_of
from viewfinder.data.domain import DTYPES, Domain
from viewfinder.views.contract import Transform
from viewfinder.views.frozen import KEPT, RESIZED, large, seen
from viewfinder.views.items import Item, ViewSpec


class Pipeline(nn.Module):
    """A list of steps as modules, and what they make of data.

    spec    the list, and what it is applied to at the size of the view. Images themselves may have
            other sides; a list without a crop begins with what evaluation sees
    cut     the data have been cut to that size already: nothing is, but by a crop of the list
    domain  what comes out

    Raises UserError for a step that does not fit what reaches it: another modality, other channels,
    values that are no longer in [0, 1], a gradient that it would stop.
    """

    def __init__(self, spec: ViewSpec, *, cut: bool = False) -> None:
        super().__init__()
        self.items, self.cut = spec.items, cut
        self.source = domain = spec.domain
        transforms: list[Transform] = []
        changed: Item | None = None  # by which values left [0, 1]
        learned: Item | None = None
        for item in self.items:
            _check(item, domain, changed, learned)
            transforms.append(item.step.build(item.options, domain))
            domain = transforms[-1].gives(domain)
            if not (item.idle or item.step.keeps_unit):
                changed = item
            if any(p.requires_grad for p in transforms[-1].parameters()):
                learned = item
        self.transforms = nn.ModuleList(transforms)
        self.domain = domain

    @property
    def steps(self) -> list[tuple[Item, Transform]]:
        """Each item of the list with its transform."""
        return list(zip(self.items, self.transforms, strict=True))  # type: ignore[arg-type]

    @property
    def crops(self) -> bool:
        """Whether a step resizes images to the view's size."""
        return any(item.step.fuses == "crop" for item in self.items)

    @property
    def learned(self) -> bool:
        """Whether a step has parameters that a gradient is asked for."""
        return any(p.requires_grad for p in self.parameters())

    def reaches(self, data: Tensor) -> Domain:
        """What the first step meets of data (N, ...)."""
        if self.source.modality == "images" and not self.crops:
            return self.source
        return replace(self.source, shape=tuple(data.shape[1:]))

    def frozen(self, data: Tensor, sides: Tensor | None = None) -> Tensor:
        """The view without chance: float32 (N, ...) of ``domain``.

        Of images uint8 (N, C, H, W) small views are the whole, large ones the centre, see
        ``viewfinder.views.frozen.seen_boxes``; then come the steps that evaluation sees too.
        Raises ValueError for another shape or dtype.
        """
        check_data(data, self.source)
        check_sides(data, sides)
        kept = [step for item, step in self.steps if item.step.frozen]

        def apply(x: Tensor) -> Tensor:
            for step in kept:
                x = step(x, {})
            return x

        if self.source.modality != "images":
            return apply(as_given(data))
        return seen(data, self.source.size, self.domain.channels, apply, sides)

    def shown(self, view: Tensor) -> Tensor:
        """A view as a picture in [0, 1]: the steps that evaluation sees too are undone. Raises
        ValueError for what is no view."""
        check_view(view)
        for item, step in reversed(self.steps):
            if item.step.frozen:
                view = step.inverse(view)
        return view.clamp(0, 1) if self.source.modality == "images" else view

    def describe_frozen(self) -> str:
        """What ``frozen`` does, in words: the size, and the steps that evaluation sees too."""
        kept = [_told(item) for item in self.items if item.step.frozen]
        centre = self.source.modality == "images" and large(self.source.size)
        part = [f"centre {KEPT}/{RESIZED}"] if centre else []
        return json.dumps([list(self.source.shape), *part, kept])


def _told(item: Item) -> Any:
    """An item as it is written, but with the content of its files in place of where they lie."""
    options = item.options.model_dump(mode="json")
    options |= {key: content_of(options[key]) for key in item.step.paths if options[key]}
    return {item.step.name: options} if options else item.step.name


def as_given(data: Tensor) -> Tensor:
    """What is no image as float32, but the numbers of words as they are."""
    return data if data.dtype == torch.int64 else data.float()


def check_data(data: Tensor, source: Domain) -> None:
    """Raise ValueError unless these are data (N, ...) of a domain, as they come from a source."""
    found = f"data are {data.dtype} of shape {tuple(data.shape)}"
    if source.modality == "images":
        if data.dtype != torch.uint8 or data.ndim != 4:
            raise ValueError(f"{found}; uint8 (N, C, H, W) is expected")
        if data.shape[1] != source.channels:
            raise ValueError(
                f"{found}; {source.channels} channels are expected, as the maker was told"
            )
        return
    dtype = DTYPES[source.modality]
    right = data.is_floating_point() if dtype.is_floating_point else data.dtype == dtype
    if not right or data.shape[1:] != source.shape:
        expected = "floats" if dtype.is_floating_point else str(dtype).removeprefix("torch.")
        shape = ", ".join(map(str, source.shape))
        raise ValueError(f"{found}; {expected} (N, {shape}) is expected")


def check_sides(data: Tensor, sides: Tensor | None) -> None:
    """Raise ValueError unless sides are the height and width of each of the images."""
    if sides is None:
        return
    whole = not sides.is_floating_point() and sides.shape == (len(data), 2)
    # of a GPU's their values would have to be waited for
    if not whole or (sides.device.type == "cpu" and bool((sides < 1).any())):
        least = f", the least is {int(sides.min())}" if whole else ""
        raise ValueError(
            f"sides are {sides.dtype} of shape {tuple(sides.shape)}{least}; integers "
            f"({len(data)}, 2), from 1, are expected"
        )


def check_view(view: Tensor) -> None:
    """Raise ValueError for 8 bits: those are images, not yet a view of them."""
    if not view.is_floating_point():
        raise ValueError(
            f"a view is {view.dtype} of shape {tuple(view.shape)}; floats, as the maker gives "
            "them, are expected"
        )


def grey_view(pipeline: Pipeline, like: Tensor) -> Tensor:
    """The view of an image that is mid-grey throughout, (1, C, 1, 1), on the device of ``like``."""
    x = torch.full((1, pipeline.source.channels, 1, 1), 0.5, device=like.device, dtype=like.dtype)
    for item, step in pipeline.steps:
        if item.step.frozen:
            x = step(x, {})
    return x


def _check(item: Item, domain: Domain, changed: Item | None, learned: Item | None) -> None:
    """Raise UserError where a step does not fit what reaches it."""
    row = item.step
    if domain.modality not in row.modalities:
        raise OptionError(
            f"the step {row.name} is for {' or '.join(row.modalities)}, "
            f"the data are {domain.modality}",
            fix=f"a list @steps without {row.name}",
        )
    if item.idle:
        return
    channels = row.channels(item.options)
    if channels and domain.channels not in channels:
        raise OptionError(
            f"the step {row.name} needs {' or '.join(map(str, channels))} channels, "
            f"what reaches it has {domain.channels}",
            fix=row.remedy(item.options) if row.remedy else _without(item),
            own=f"a list of steps without {row.name}, or channels={channels[-1]}",
        )
    if row.unit and changed is not None:
        raise UserError(
            f"the step {row.name} takes values in [0, 1], which {changed.step.name} before "
            "it changes",
            fix=f"{row.name} before {changed.step.name}, or without it",
        )
    if learned is not None and not row.gradient:
        raise UserError(
            f"no gradient reaches the step {learned.step.name} through {row.name} behind it",
            fix=f"{row.name} before {learned.step.name}",
        )


def _without(item: Item) -> str:
    if item.p is not None:
        return f"@{item.step.name}_p=0"
    return f"a list @steps without {item.step.name}, or data.channels=3"
