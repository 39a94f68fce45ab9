"""What is wrong in one process alone is refused in all of them: none waits for the others."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from processes import together
from torch import nn

from viewfinder.negatives import Bank, Contrast
from viewfinder.objectives import DINO, NCE, CIInfoNCE, InfoNCE, NTXent, SupCon, SwAV
from viewfinder.regularizers import RC


def mistakes(wrong: bool) -> None:
    z = torch.randn(4, 8)
    learned = nn.Parameter(torch.tensor(-0.1 if wrong else 0.1))
    calls = [
        lambda: NTXent(learned)(z, z),
        lambda: CIInfoNCE(learned)(z, z),
        lambda: InfoNCE(learned)(z, z),
        lambda: SupCon(learned)([z, z]),
        lambda: SwAV(8, 3, learned)([z, z]),
        lambda: DINO(8, learned)([z, z], [z, z]),
        lambda: NCE(learned)(z, z, Contrast(torch.randn(9, 8))),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"temperature must be positive, not -0.1"):
            call()
    views = torch.rand(4, 3, 16, 16) + 3 * wrong
    rc = RC(8, 3, 16, likelihood="bernoulli")
    with pytest.raises(ValueError, match=r"views in \[0, 1\]"):
        rc([z], [views])
    index = torch.arange(4) + 100 * wrong
    with pytest.raises(ValueError, match="positions from 0 to 8"):
        Bank(9, 8).propose(z, index)


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),  # a process that waits fails
    )
    mistakes(wrong=rank == 1)
    dist.barrier()
    Path(folder, str(rank)).touch()
    os._exit(0)


def test_a_mistake_of_one_process_is_refused_by_both(tmp_path: Path) -> None:
    together(worker, 2, str(tmp_path))
    assert all((tmp_path / str(rank)).exists() for rank in (0, 1))
