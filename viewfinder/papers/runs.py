"""Many small training runs: each stored when it is finished, none computed twice."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from viewfinder.core.errors import InterruptedRun, RunStopped
from viewfinder.core.files import write_atomically
from viewfinder.papers.progress import Progress, silent
from viewfinder.papers.result import to_json

GRACE = 3.0
"""Seconds that a worker has to tidy up when it is to end."""

Settings = Mapping[str, Any]
Train = Callable[[Settings], dict[str, Any]]


def run_all(
    train: Train,
    settings: Sequence[Settings],
    folder: Path,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """The results of ``train`` for all settings, in their order.

    A finished run is ``folder``/<hash of train's name and the settings>.json, holding both; what is
    there already is read instead of run. Each run has one thread, so that its numbers do not depend
    on ``workers``, the number of processes.

    train     a function of a module (processes find it by name) from settings to a result, both
              plain JSON data. Settings hold all that the result depends on, the seed among it
    """
    results: dict[int, dict[str, Any]] = {}
    for i, s in enumerate(settings):
        stored = _read(_path(train, s, folder), s)
        if stored is not None:
            results[i] = stored
    missing = [i for i in range(len(settings)) if i not in results]
    progress(len(results), len(settings), f"{len(results)} runs were stored")

    def finish(i: int, result: dict[str, Any]) -> None:
        path = _path(train, settings[i], folder)
        write_atomically(path, to_json({"settings": settings[i], "result": result}))
        results[i] = result
        progress(len(results), len(settings), path.stem)

    if workers == 1:
        for i in missing:
            finish(i, _on_one_thread(train, settings[i]))
    elif missing:
        _in_processes(train, [(i, settings[i]) for i in missing], workers, finish)
    return [results[i] for i in range(len(settings))]


def _in_processes(
    train: Train,
    tasks: Sequence[tuple[int, Settings]],
    workers: int,
    finish: Callable[[int, dict[str, Any]], None],
) -> None:
    # a forked child of a process that has used torch's threads can hang: start clean ones
    context = multiprocessing.get_context("spawn")
    size = min(workers, len(tasks))
    with ProcessPoolExecutor(size, mp_context=context, initializer=_end_with_parent) as pool:
        futures = {pool.submit(_in_worker, train, s): i for i, s in tasks}
        try:
            for future in as_completed(futures):
                finish(futures[future], future.result())
        except BaseException as error:
            alive = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in alive:  # nobody waits for what they would find
                worker.terminate()
            for worker in alive:
                worker.join(GRACE)
                worker.kill()
            if isinstance(error, BrokenProcessPool):
                raise RunStopped(
                    "a process that trained was ended from outside (is there enough memory?); the "
                    "runs that are finished are kept, and the same command goes on"
                ) from error
            raise


def _end_with_parent() -> None:
    """Make a worker end when its parent is gone, even if that was killed. Ctrl-C is the parent's:
    it ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _in_worker(train: Train, settings: Settings) -> dict[str, Any]:
    """A run in a process of its own: at SIGTERM it tidies up, and the process ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _on_one_thread(train, settings)
    except (KeyboardInterrupt, InterruptedRun):
        os._exit(1)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _on_one_thread(train: Train, settings: Settings) -> dict[str, Any]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(settings)
    finally:
        torch.set_num_threads(before)


def _path(train: Train, settings: Settings, folder: Path) -> Path:
    text = json.dumps([train.__module__, train.__qualname__, settings], sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _read(path: Path, settings: Settings) -> dict[str, Any] | None:
    """The stored result, or None where there is none or the file is not of these settings."""
    try:
        stored = json.loads(path.read_text())
        return stored["result"] if stored["settings"] == json.loads(json.dumps(settings)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
