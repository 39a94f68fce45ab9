"""The path for GPUs: it must not wait for values, and all of it must be on the device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from viewfinder.views import preset
from viewfinder.views.pipeline import Pipeline
from viewfinder.views.render import Drawn, draw, plan, render, render_tasks


def pipelines(name: str, size: int) -> list[Pipeline]:
    return list(preset(name, size).pipelines)  # type: ignore[arg-type]


def to(device: str, drawn: list[Drawn]) -> list[Drawn]:
    return [
        replace(
            one,
            values={name: value.to(device) for name, value in one.values.items()},
            selected=None if one.selected is None else one.selected.to(device),
        )
        for one in drawn
    ]


@pytest.mark.parametrize("name", ["simclr", "moco", "byol"])
def test_nothing_depends_on_values_that_only_the_device_knows(name: str) -> None:
    # fake tensors have shapes but no values: to read one raises
    with FakeTensorMode():
        images = torch.empty(8, 3, 40, 30, dtype=torch.uint8)
        for view in pipelines(name, 96):
            made = plan(view, images, draw(view, images, torch.Generator()))
            assert render(made, images, sparse=False).shape == (8, 3, 96, 96)
        with pytest.raises(DynamicOutputShapeException):  # the path for CPUs does read
            render(made, images, sparse=True, starts=[0] * 6)


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="torch is built without CUDA")
def test_everything_is_on_the_images_device() -> None:
    with FakeTensorMode():
        images = torch.empty(8, 3, 40, 30, dtype=torch.uint8, device="cuda")
        for view in pipelines("byol", 96):
            drawn = to("cuda", draw(view, images.cpu(), torch.Generator()))
            out = torch.empty(8, 3, 96, 96, device="cuda")
            for task in render_tasks(plan(view, images, drawn), images, out):
                task()
            assert view.frozen(images).is_cuda


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_views_of_the_cpu() -> None:
    images = torch.randint(0, 256, (64, 3, 40, 40), dtype=torch.uint8)
    for view in pipelines("byol", 32):
        drawn = draw(view, images, torch.Generator().manual_seed(0))
        outs = []
        for device in ("cpu", "cuda"):
            outs.append(torch.empty(64, 3, 32, 32, device=device))
            there = images.to(device)
            for task in render_tasks(plan(view, there, to(device, drawn)), there, outs[-1]):
                task()
        near = (outs[0] - outs[1].cpu()).abs() <= 1e-3
        assert near.float().mean() > 0.999
