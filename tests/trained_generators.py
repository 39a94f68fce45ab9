"""Generators of views as if they had been trained, and their files, for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from viewfinder.views.learned_space import LearnedSpace, Shape, save


def trained(model: nn.Module, by: float = 0.3) -> nn.Module:
    """A generator whose weights are as far from 0 as training brings them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=_seeded(parameter.numel())))
    return model


def saved_space(folder: Path, **shape: Any) -> Path:
    """The file of a learned space with weights and deviations of its own."""
    space = LearnedSpace(Shape(**shape))
    trained(space)
    space.train()(torch.rand(64, space.shape.channels, 4, 4, generator=_seeded(0)))
    save(space, folder / "generator.safetensors")
    return folder / "generator.safetensors"


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
