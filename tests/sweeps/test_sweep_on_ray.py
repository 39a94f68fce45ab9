"""A sweep on Ray's local cluster; skipped where ray is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweep_work import plan_of, some_fail, trained

from viewfinder.core.errors import UserError
from viewfinder.sweeps import on_ray as module
from viewfinder.sweeps.plan import unfinished


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install \"viewfinder\[ray\]\""):
        module.on_ray([], trained)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install viewfinder[ray]")
    here = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    ray.init(
        num_cpus=2,
        log_to_driver=False,
        include_dashboard=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, here))}},
    )
    yield
    ray.shutdown()


def test_points_are_trained_on_the_cluster_each_once(cluster: None, tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert module.on_ray(plan.points(), trained) == {}
    lines = [line.split() for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert len(lines) == 9 == len({name for name, _ in lines})
    assert str(os.getpid()) not in {pid for _, pid in lines}
    assert module.on_ray(plan.points(), trained) == {}  # nothing is left to do
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 9


def test_a_failed_point_does_not_lose_the_others(cluster: None, tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    failed = module.on_ray(plan.points(), some_fail)
    assert failed == {"1, seed 1": "RuntimeError('no memory')", "2, seed 2": "a file is gone"}
    assert [point.name for point in unfinished(plan.points())] == list(failed)
