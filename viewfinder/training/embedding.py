"""The training images as the frozen network sees them, embedded once a step for all who ask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viewfinder.data.source import Images
from viewfinder.networks.frozen_features import View, extract


class Embedding:
    """Features of all images by an encoder in evaluation mode, kept until another step.

    Between two epochs clusters and collapse measures are made of the same network; whoever asks
    second is given what the first asked for.
    """

    def __init__(self, images: Images, view: View, precision: str) -> None:
        self.images, self.view, self.precision = images, view, precision
        self._key: tuple[int, int] | None = None
        self._features = torch.empty(0)

    def __call__(self, encoder: nn.Module, step: int, device: torch.device) -> Tensor:
        """Features float32 (N, D) on the CPU, of the encoder as it is after ``step`` steps."""
        if self._key != (id(encoder), step):
            self._features = extract(
                encoder, self.images, self.view, device=device, precision=self.precision
            )
            self._key = (id(encoder), step)
        return self._features

    def forget(self) -> None:
        """Free the memory."""
        self._key, self._features = None, torch.empty(0)
