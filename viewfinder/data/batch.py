"""The batch: what travels from the loader to the views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Data of one step.

    images   uint8 (N, C, H, W); or points float32 (N, 2), tokens int64 (N, T), clips (N,T,C,H,W)
    index    int64 (N,), position in the dataset; stable: banks and cluster tables are keyed by it
    label    int64 (N,) class, where there are labels
    """

    images: Tensor
    index: Tensor
    label: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch on another device."""

        label = self.label
        return replace(
            self,
            images=self.images.to(device, non_blocking=non_blocking),
            index=self.index.to(device, non_blocking=non_blocking),
            label=None if label is None else label.to(device, non_blocking=non_blocking),
        )
