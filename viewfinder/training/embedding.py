"""All images as the frozen network sees them, embedded once a step for all who ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from viewfinder.data.source import Data
from viewfinder.networks.frozen_features import View, extract
from viewfinder.objectives.similarity import unit


class Embedding:
    """Features of all images by an encoder in evaluation mode, kept until another step.

    Between two epochs clusters and collapse measures are made of the same network; whoever asks
    second is given what the first asked for.
    """

    def __init__(self, data: Data, view: View, precision: str) -> None:
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


def network_outputs(module: Any, on: str, features_of: Callable[[nn.Module], Tensor]) -> Tensor:
    """What is clustered of all images: their features, or projections of unit length, (N, D).

    module       the training module; its momentum network is taken where it has one
    on           "features" or "projections"
    features_of  gives the features of all images by an encoder, float32 (N, D) on the CPU
    """
    encoder, projector = module.steady()
    features = features_of(encoder)
    return features if on == "features" else projected(projector, features, module.device)


@torch.no_grad()
def projected(projector: nn.Module, features: Tensor, device: torch.device) -> Tensor:
    """Projections of unit length of frozen features (N, D), on the CPU."""
    training = projector.training
    projector.eval()
    blocks = [unit(projector(block.to(device))).float().cpu() for block in features.split(4096)]
    projector.train(training)
    return torch.cat(blocks)
