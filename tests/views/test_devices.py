"""The path for GPUs: it must not wait for values, and all of it must be on the device."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from viewfinder.views.augment import evaluation_view
from viewfinder.views.color import Jitter

from viewfinder.views.presets import preset
from viewfinder.views.render import Draw, draw, render, render_tasks


def to(device: str, drawn: Draw) -> Draw:
    return Draw(**{f.name: getattr(drawn, f.name).to(device) for f in fields(drawn)})


@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_nothing_depends_on_values_that_only_the_device_knows(name: str) -> None:
    # fake tensors have shapes but no values: to read one raises
    with FakeTensorMode():
        images = torch.empty(8, 3, 40, 30, dtype=torch.uint8)
        for view in preset(name, 96):
            drawn = draw(view, 8, 40, 30, torch.Generator())
            jitter = Jitter.of(drawn.factors, drawn.order, drawn.jitter)
            assert render(view, images, drawn, jitter).shape == (8, 3, 96, 96)
        with pytest.raises(DynamicOutputShapeException):  # the path for CPUs does read
            render(view, images, drawn, jitter, [0] * 6)


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="torch is built without CUDA")
def test_everything_is_on_the_images_device() -> None:
    with FakeTensorMode():
        images = torch.empty(8, 3, 40, 30, dtype=torch.uint8, device="cuda")
        for view in preset("byol", 96):
            drawn = to("cuda", draw(view, 8, 40, 30, torch.Generator()))
            out = torch.empty(8, 3, 96, 96, device="cuda")
            for task in render_tasks(view, images, drawn, out):
                task()
        assert evaluation_view(images, 24, (0.5,), (0.5,)).is_cuda


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_views_of_the_cpu() -> None:
    images = torch.randint(0, 256, (64, 3, 40, 40), dtype=torch.uint8)
    for view in preset("byol", 32):
        drawn = draw(view, 64, 40, 40, torch.Generator().manual_seed(0))
        outs = []
        for device in ("cpu", "cuda"):
            outs.append(torch.empty(64, 3, 32, 32, device=device))
            for task in render_tasks(view, images.to(device), to(device, drawn), outs[-1]):
                task()
        near = (outs[0] - outs[1].cpu()).abs() <= 1e-3
        assert near.float().mean() > 0.999
