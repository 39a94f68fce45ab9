"""Several processes that join in a group, as the ranks of a training do."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import set_forkserver_preload
from typing import Any

import torch

# A process that is forked from a server finds these imported; to import them anew takes each of
# the processes longer than what it is asked to do.
PRELOADED = ["torch._dynamo", "torch.nn.parallel", "pytest", "viewfinder.objectives"]
set_forkserver_preload(PRELOADED)


def together(worker: Callable[..., None], count: int, *args: Any) -> None:
    """Call ``worker(rank, *args)`` in so many processes; raises what one of them raised."""
    torch.multiprocessing.start_processes(worker, args, count, start_method="forkserver")
