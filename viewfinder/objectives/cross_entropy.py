"""Cross entropy with labels: the supervised baseline."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """mean_i -log softmax(logits_i)[labels_i].

    logits float (N, C), labels int64 (N,) in 0..C-1. Returns a scalar; its infimum is 0. Raises
    ValueError for labels outside the range, -1 (unknown) among them, also on a GPU, where torch
    itself would end the process.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be (N, C) and labels (N,), not {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    low, high = (int(x) for x in labels.aminmax())
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(
            f"labels run from {low} to {high}, but {logits.shape[1]} logits allow 0 to "
            f"{logits.shape[1] - 1}"
        )
    return F.cross_entropy(logits, labels)
