"""The batch: what travels from the loader to the views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """What is known of the data of one step.

    data     images uint8 (N, C, H, W), points float32 (N, D), tokens int64 (N, T), or clips uint8
             (N, T, C, H, W)
    index    int64 (N,), position in the dataset; stable: banks and cluster tables are keyed by it
    label    int64 (N,) class, -1 where a datum has none; None where the dataset has no labels
    factors  further facts that a split or a probe needs, each a tensor with N rows
    sides    int32 (N, 2), height and width that images had before they were made square; None: they
             are as they were
    """

    data: Tensor
    index: Tensor
    label: Tensor | None = None
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    sides: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch on another device."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return Batch(
            moved(self.data),
            moved(self.index),
            None if self.label is None else moved(self.label),
            {name: moved(values) for name, values in self.factors.items()},
            None if self.sides is None else moved(self.sides),
        )
