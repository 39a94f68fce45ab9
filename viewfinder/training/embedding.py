"""The training images as the frozen network sees them, embedded once a step for all who ask."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import extract


class Embedding:
    """Features of all images by an encoder in evaluation mode, kept until another step.

    Between two epochs clusters and collapse measures are made of the same network; whoever asks
    second is given what the first asked for.
    """

    def __init__(self, data: Data, view: Callable[[Tensor], Tensor], precision: str) -> None:
        self.data, self.view, self.precision = data, view, precision
        self._key: tuple[int, int] | None = None
        self._features = torch.empty(0)

    def __call__(self, encoder: nn.Module, step: int, device: torch.device) -> Tensor:
        """Features float32 (N, D) on the CPU, of the encoder as it is after ``step`` steps."""
        if self._key != (id(encoder), step):
            self._features = extract(
                encoder, self.data, self.view, device=device, precision=self.precision
            )
            self._key = (id(encoder), step)
        return self._features

    def forget(self) -> None:
        """Free the memory."""
        self._key, self._features = None, torch.empty(0)
