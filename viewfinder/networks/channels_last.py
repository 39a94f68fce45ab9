"""The memory layout in which convolutions are fastest."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def fast_layout(module: M) -> M:
    """The module with its 4-d weights channels-last; the results are the same.

    Convolution kernels for channels-last tensors are about twice as fast in bf16, on CPU and GPU;
    activations follow the layout of the weights.
    """
    return module.to(memory_format=torch.channels_last)
