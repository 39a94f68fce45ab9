"""What contrastive losses share: checks, positions, groups, and the least loss there is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from viewfinder.core.expect import check_whole_numbers
from viewfinder.objectives.log_partition import Temperature


def check_temperature(temperature: Temperature) -> None:
    """Raise ValueError unless it is a positive number, or a tensor () of one."""
    if isinstance(temperature, Tensor) and temperature.ndim:
        raise ValueError(f"temperature must be one number, not {tuple(temperature.shape)}")
    number = temperature.item() if isinstance(temperature, Tensor) else temperature
    if not number > 0:
        raise ValueError(f"temperature must be positive, not {number}")


def check_contrast(samples: int, temperature: Temperature) -> None:
    """Raise ValueError where a contrast among ``samples`` could not teach anything."""
    check_temperature(temperature)
    if samples < 2:
        raise ValueError(
            f"a contrast within a batch needs at least two samples, not {samples}: with one, the "
            "loss is 0 whatever the encoder does"
        )


def anchor_positions(samples: int, views: int, rows: slice | None, device: torch.device) -> Tensor:
    """Where the samples ``rows`` stand when ``views`` times ``samples`` rows are stacked: int64.

    Raises ValueError where there are none: their mean would be NaN.
    """
    rows = slice(None) if rows is None else rows
    if not range(samples)[rows]:
        raise ValueError(
            f"rows={rows} are none of {samples} samples: one anchor at least is needed"
        )
    grid = torch.arange(views * samples, device=device).view(views, samples)
    return grid[:, rows].flatten()


def known_or_alone(labels: Tensor) -> Tensor:
    """The labels (N,), with every negative one replaced by a negative label of its own.

    Raises ValueError for labels that are no whole numbers.
    """
    check_whole_numbers("labels", labels)
    labels = labels.long()
    return torch.where(labels < 0, -1 - torch.arange(len(labels), device=labels.device), labels)


def group_sums(x: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """For each row of x (N, D): the sum of the rows in its group (N, D), and their number (N,)."""
    # the first position of a value among the sorted ones names its group without a device sync
    name = torch.searchsorted(groups.sort().values, groups)
    sums = torch.zeros_like(x).index_add(0, name, x)
    members = x.new_zeros(len(x)).index_add(0, name, x.new_ones(len(x)))
    return sums[name], members[name]


def simplex(temperature: float, positives: float, others: float, classes: float) -> float:
    """The contrastive minimum: every class at a corner of a regular simplex (Graf et al. 2021)."""
    apart = 1 + 1 / (classes - 1)  # 1 - cosine of two corners
    return math.log(positives + others * math.exp(-apart / temperature))
