"""From lists of steps to the views of a batch: draw the parameters, plan, then apply them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from viewfinder.views.chunks import chunks, run_all
from viewfinder.views.contract import Cutting, Grouped, Transform, Values
from viewfinder.views.frozen import seen_boxes
from viewfinder.views.items import Item
from viewfinder.views.pipeline import Pipeline, as_given
from viewfinder.views.steps.crop import resized_crop


@dataclass(frozen=True)
class Drawn:
    """A step with what was drawn for it.

    values    parameters with one row per sample; of a grouped step, once planned, its plan
    selected  bool (N,), the samples it is applied to; None: all
    """

    item: Item
    transform: Transform
    values: Values
    selected: Tensor | None = None

    def __getitem__(self, index: Tensor | slice) -> Drawn:
        values = {name: value[index] for name, value in self.values.items()}
        return replace(
            self, values=values, selected=None if self.selected is None else self.selected[index]
        )


@dataclass(frozen=True)
class Plan:
    """What is done to a batch, in order.

    size   of the view, px, where it begins with a crop
    boxes  (N, 4), what is first cut out of uint8 images and resized; None: nothing is
    flip   bool (N,), the samples mirrored with it; None: none
    steps  what follows
    drawn  whether the boxes are; else they are what evaluation sees
    """

    size: int
    boxes: Tensor | None
    flip: Tensor | None
    steps: tuple[Drawn, ...]
    drawn: bool = True

    def __getitem__(self, index: Tensor | slice) -> Plan:
        return Plan(
            self.size,
            None if self.boxes is None else self.boxes[index],
            None if self.flip is None else self.flip[index],
            tuple(step[index] for step in self.steps),
            self.drawn,
        )

    @property
    def first_grouped(self) -> int | None:
        """Position of the first grouped step: the samples are sorted for it."""
        kinds = (isinstance(step.transform, Grouped) for step in self.steps)
        return next((i for i, grouped in enumerate(kinds) if grouped), None)


def draw(
    pipeline: Pipeline, data: Tensor, generator: torch.Generator, sides: Tensor | None = None
) -> list[Drawn]:
    """Draw everything that is random about a view of each of the data.

    First the parameters of every step in the order of the list, then one number in [0, 1) per
    sample for each step that has a probability: it is applied where the number is below that. A
    step whose probability is 0 draws as well, so setting it to another leaves the draws of the
    others as they were.

    sides  integers (N, 2), height and width of each image before it was made as it is stored; the
           first crop is drawn on them. None: the same
    """
    n, domain = len(data), pipeline.reaches(data)
    found = []
    for item, transform in pipeline.steps:
        if sides is not None and isinstance(transform, Cutting):
            values, sides = transform.draw(n, domain, generator, sides), None
        else:
            values = transform.draw(n, domain, generator)
        found.append(Drawn(item, transform, values))
        domain = transform.gives(domain)
    chances = [one.item.p for one in found if one.item.p is not None]
    numbers = iter(torch.rand(len(chances), n, generator=generator, device=generator.device))
    return [
        one if one.item.p is None else replace(one, selected=next(numbers) < one.item.p)
        for one in found
    ]


def plan(
    pipeline: Pipeline, data: Tensor, drawn: Iterable[Drawn], sides: Tensor | None = None
) -> Plan:
    """Arrange what was drawn so that it takes the fewest passes over the data.

    A crop that comes first, or what evaluation sees where there is none, is done straight from 8
    bits and with the next flip, where all steps between the two commute with mirroring.
    """
    steps = [one for one in drawn if not one.item.idle]
    boxes = flip = None
    if pipeline.source.modality == "images":
        if not pipeline.crops and not pipeline.cut:
            boxes = seen_boxes(data.shape[2], data.shape[3], pipeline.source.size, sides)
            boxes = boxes.to(data.device).expand(len(data), 4)
        elif steps and steps[0].item.step.fuses == "crop":
            boxes = steps.pop(0).values["boxes"]
    if boxes is not None:
        for i, one in enumerate(steps):
            if one.item.step.fuses == "flip":
                flip = steps.pop(i).selected
                break
            if not one.item.step.mirrors:
                break
    return Plan(pipeline.source.size, boxes, flip, tuple(map(_grouped, steps)), pipeline.crops)


def _grouped(one: Drawn) -> Drawn:
    if not isinstance(one.transform, Grouped):
        return one
    selected = one.selected
    if selected is None:
        some = next(iter(one.values.values()))
        selected = torch.ones(len(some), dtype=torch.bool, device=some.device)
    return replace(one, values=one.transform.plan(one.values, selected), selected=None)


def render_tasks(made: Plan, data: Tensor, out: Tensor) -> list[Callable[[], None]]:
    """Tasks that together write the views of a plan into ``out``.

    On a CPU the samples of a chunk are sorted by the groups of the first grouped step, so that each
    of its parts concerns a contiguous slice. Elsewhere one task does every step to every sample and
    keeps it where it was drawn, and so never waits for the device.
    """
    parts = chunks(len(data), max(data[:1].numel(), out[:1].numel()), data.device)
    sparse, grouped = data.device.type == "cpu", made.first_grouped
    if not sparse or grouped is None:

        def in_order(part: slice) -> None:
            out[part] = render(made[part], data[part], sparse=sparse)

        return [functools.partial(in_order, part) for part in parts]

    step = made.steps[grouped]
    assert isinstance(step.transform, Grouped)
    groups = step.transform.groups
    chunk = torch.cat([torch.full((p.stop - p.start,), i) for i, p in enumerate(parts)])
    key = chunk * groups + step.values["group"]
    order = key.argsort(stable=True)
    back = order.argsort()
    counts = key.bincount(minlength=groups * len(parts)).view(-1, groups)
    starts = (counts.cumsum(1) - counts).tolist()
    ordered = made[order]

    def in_groups(part: slice, starts: list[int]) -> None:
        x = data.index_select(0, order[part])
        x = render(ordered[part], x, sparse=True, starts=starts)
        torch.index_select(x, 0, back[part] - part.start, out=out[part])

    return [functools.partial(in_groups, *each) for each in zip(parts, starts, strict=True)]


def render(
    made: Plan,
    data: Tensor,
    *,
    sparse: bool,
    starts: Sequence[int] | None = None,
    gradient: bool = False,
) -> Tensor:
    """The views of data by a plan.

    sparse    touch only the samples a step was drawn for; else do each step to all of them and keep
              it where it was drawn, without knowing the values
    starts    where the samples are sorted for the first grouped step, the first of each group
    gradient  record what the steps' parameters need
    """
    # an autocast around the training step must not round the crop to bfloat16
    with torch.set_grad_enabled(gradient), torch.autocast(data.device.type, enabled=False):
        if made.boxes is not None:
            x = resized_crop(data, made.boxes, made.size, made.flip, bounded=made.drawn)
        else:
            x = as_given(data).clone() if data.dtype != torch.uint8 else data.float() / 255
        for i, step in enumerate(made.steps):
            if isinstance(step.transform, Grouped):
                step.transform.apply_(x, step.values, starts if i == made.first_grouped else None)
            else:
                x = _applied(step, x, sparse)
        return x


def _applied(step: Drawn, x: Tensor, sparse: bool) -> Tensor:
    """One step, done to x where it was drawn."""
    transform, selected = step.transform, step.selected
    made: Tensor
    if selected is None:
        made = transform(x, step.values)
    elif sparse:
        rows = selected.nonzero()[:, 0]
        if len(rows):
            values = {name: value[rows] for name, value in step.values.items()}
            x[rows] = transform(x.index_select(0, rows), values)
        made = x
    else:
        changed = transform(x.clone() if transform.overwrites else x, step.values)
        made = torch.where(selected.view(-1, *[1] * (x.ndim - 1)), changed, x)
    return made


def render_views(
    pipelines: Sequence[Pipeline],
    batches: Sequence[Tensor],
    generator: torch.Generator,
    sides: Sequence[Tensor | None] | None = None,
) -> list[Tensor]:
    """One view of a batch by each pipeline, float32 (N, ...) of its domain, on the batch's device.

    sides  of each batch, as in ``draw``; None: all are as they are stored

    The draws are made pipeline by pipeline. Results do not depend on the number of threads.
    """
    device = batches[0].device
    pairs = list(zip(pipelines, batches, strict=True))
    were = [None] * len(pairs) if sides is None else sides

    def prepare() -> tuple[list[Plan], list[Tensor], list[Callable[[], None]]]:
        plans = [
            plan(one, data, draw(one, data, generator, own), own)
            for (one, data), own in zip(pairs, were, strict=True)
        ]
        views, tasks = [], []
        for (one, data), made in zip(pairs, plans, strict=True):
            kind = torch.int64 if one.domain.modality == "tokens" else torch.float32
            views.append(torch.empty(len(data), *one.domain.shape, device=device, dtype=kind))
            if not one.learned:
                tasks += render_tasks(made, data, views[-1])
        return plans, views, tasks

    ((plans, views, tasks),) = run_all([prepare], device)
    run_all(tasks, device)
    return [
        render(made, data, sparse=False, gradient=torch.is_grad_enabled()) if one.learned else view
        for (one, data), made, view in zip(pairs, plans, views, strict=True)
    ]
