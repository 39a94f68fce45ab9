"""How much two images with several tags each are the same."""

from __future__ import annotations

import torch
from torch import Tensor

from viewfinder.core.expect import check_zeros_and_ones
from viewfinder.objectives.log_partition import full_precision


def tag_overlap(tags: Tensor) -> Tensor:
    """Shared tags / all tags of each pair (Jaccard): (N, T) -> (N, N), in [0, 1].

    tags  bool, or 0 and 1, (N, T): which of T tags an image has

    For ``supcon(views, weights=tag_overlap(tags))``. An image is all the same as itself, with or
    without tags; one without tags has nothing in common with another. Returns float32, float64 for
    float64. Raises ValueError for other shapes and values.

    >>> tag_overlap(torch.tensor([[1, 1, 0], [1, 0, 1]]))[0].tolist()
    [1.0, 0.3333333432674408]
    """
    check_zeros_and_ones("tags", tags)
    tags = tags.to(torch.float64 if tags.dtype == torch.float64 else torch.float32)
    with full_precision(tags):
        shared = tags @ tags.T
    count = tags.sum(dim=1)
    union = count[:, None] + count - shared
    return (shared / union.clamp(min=1)).fill_diagonal_(1)
