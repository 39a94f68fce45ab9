"""The points of a sweep on a Ray cluster: as many at a time as it has room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viewfinder.core.console import say
from viewfinder.core.errors import UserError
from viewfinder.sweeps.plan import Point, unfinished
from viewfinder.sweeps.points import Outcome, Work, attempt, one_after_another


def on_ray(points: Sequence[Point], work: Work) -> dict[str, str]:
    """``one_after_another`` on the machines of a Ray cluster, that of RAY_ADDRESS or a local one.

    A point takes one CPU, and one GPU where its recipe may take one and the cluster has any. The
    folder of the sweep, and the data, must lie where all machines see them; a point that dies with
    its machine is tried again by the next command.

    Raises UserError where ray is not installed.
    """
    ray = _ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    gpus = 1 if ray.cluster_resources().get("GPU") else 0
    rest = unfinished(points)
    running = {}
    for point in rest:
        own = gpus if point.recipe["accelerator"] in ("auto", "gpu") else 0
        task = ray.remote(num_cpus=1, num_gpus=own, max_retries=0)(attempt)
        running[task.remote(point, work)] = point
    say(f"{len(running)} points on a Ray cluster of {ray.cluster_resources().get('CPU', 0):g} CPUs")
    failed: dict[str, str] = {}
    while running:
        (reference,), _ = ray.wait(list(running), num_returns=1)
        point = running.pop(reference)
        outcome = _outcome(ray, reference)
        if outcome.state == "failed":
            failed[point.name] = outcome.why
            say(f"note: point {point.name} failed: {outcome.why}")
        else:
            say(f"point {point.name}: {outcome.state}, {len(running)} left")
    busy = [point for point in unfinished(points) if point.name not in failed]
    return failed | one_after_another(busy, work)  # those that other processes had


def _outcome(ray: Any, reference: Any) -> Outcome:
    try:
        found: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome("failed", str(error).splitlines()[0])
    return found


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError(
            "engine=ray needs ray, which is not installed", fix='pip install "viewfinder[ray]"'
        ) from error
    return ray
