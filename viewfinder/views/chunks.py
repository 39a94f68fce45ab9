"""Work on a batch in chunks that stay in the cache, several at a time."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")

# float32 values of the images in a chunk
CPU_CHUNK = 2**19  # 2 MiB, near a core in its caches
DEVICE_CHUNK = 2**27  # 512 MiB, which bounds the memory of temporaries


def chunks(n: int, values: int, device: torch.device) -> list[slice]:
    """Split n samples of ``values`` numbers each evenly into chunks of limited size.

    The split does not depend on the number of threads, and so neither do results.
    """
    limit = CPU_CHUNK if device.type == "cpu" else DEVICE_CHUNK
    count = max(1, min(n, -(-n * values // limit)))
    edges = [n * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def run_all(tasks: Iterable[Callable[[], T]], device: torch.device) -> list[T]:
    """Results of independent tasks, on a CPU as many at a time as torch has threads, each on one.

    Chunks are too small for torch to share single operations among its threads: they would wait
    for each other more than work (and MKL's exp, sqrt or round share even a few hundred numbers).
    """
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu":
        return [task() for task in tasks]
    return list(_pool(threads).map(lambda task: task(), tasks))


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch runs single-threaded."""
    ready = threading.Barrier(threads + 1)

    def start() -> None:
        torch.get_num_threads()  # at the first look torch sets it to its default; later it stays
        torch.set_num_threads(1)  # of this thread, but also the default of threads yet to come
        ready.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="views", initializer=start)
    for _ in range(threads):
        pool.submit(int)
    ready.wait()
    torch.set_num_threads(threads)  # restores that default
    return pool


if hasattr(os, "register_at_fork"):  # a forked process has the pool but not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
