"""Images in memory that count what is asked of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from viewfinder.data.domain import Modality


class CountedImages:
    """Random uint8 images; ``reads`` has the number of images of every read."""

    modality: Modality = "images"

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.reads: list[int] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: np.ndarray) -> Tensor:
        self.reads.append(len(index))
        return self.images[torch.from_numpy(index)]


@pytest.fixture
def random_images() -> Callable[..., CountedImages]:
    def make(number: int, shape: tuple[int, int, int] = (3, 4, 4)) -> CountedImages:
        generator = torch.Generator().manual_seed(0)
        return CountedImages(
            torch.randint(0, 256, (number, *shape), dtype=torch.uint8, generator=generator)
        )

    return make


@pytest.fixture
def blobs() -> Callable[..., tuple[Tensor, Tensor]]:
    """Gaussian classes in ``dim`` dimensions whose centres are ``apart`` deviations from 0."""

    def make(
        number: int, classes: int, dim: int, apart: float, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(99)
        centres = torch.randn(classes, dim, generator=generator)
        centres = apart * centres / centres.norm(dim=1, keepdim=True)
        generator.manual_seed(seed)
        labels = torch.arange(number) % classes
        return centres[labels] + torch.randn(number, dim, generator=generator), labels

    return make
