"""Images, random generators and generators of views for the tests of views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.views.learned_space import LearnedSpace, Shape, save


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 40, channels: int = 3, height: int = 24, width: int = 20) -> Tensor:
    shape = (n, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(7))


def trained(model: nn.Module, by: float = 0.3) -> nn.Module:
    """A generator whose weights are as far from 0 as training brings them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=seeded(parameter.numel())))
    return model


def saved_space(folder: Path, **shape: Any) -> Path:
    """The file of a learned space with weights and deviations of its own."""
    space = LearnedSpace(Shape(**shape))
    trained(space)
    space.train()(torch.rand(64, space.shape.channels, 4, 4, generator=seeded()))
    save(space, folder / "generator.safetensors")
    return folder / "generator.safetensors"
