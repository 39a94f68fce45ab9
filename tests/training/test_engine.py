"""Lightning's trainer is what the recipe says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.strategies import StrategyRegistry
from torch.nn.modules.batchnorm import _BatchNorm

from viewfinder.core.errors import UserError
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import build, complete
from viewfinder.runs.new_run import is_first_process
from viewfinder.runs.run import Run
from viewfinder.training import engine as module
from viewfinder.training.engine import engine
from viewfinder.training.module import Pretraining

RANKS = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")


def given(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """What the engine hands to Lightning."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(module.L, "Trainer", lambda **words: seen.update(words))
    engine(build("simclr", {"logger": "none", **changes}), Run(Path("run")), [])
    return seen


@pytest.mark.parametrize(
    ("accelerator", "cuda", "devices", "nodes", "synchronised"),
    [
        ("cpu", True, 2, 1, False),  # a machine with CUDA that is not used
        ("auto", True, 2, 1, True),
        ("gpu", True, 2, 1, True),
        ("gpu", True, 1, 2, True),
        ("gpu", True, 1, 1, False),
        ("cpu", False, 2, 2, False),
    ],
)
def test_batch_norm_is_synchronised_between_processes_on_cuda_alone(
    accelerator: str,
    cuda: bool,
    devices: int,
    nodes: int,
    synchronised: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    words = given(monkeypatch, accelerator=accelerator, devices=devices, nodes=nodes)
    assert words["sync_batchnorm"] is synchronised
    assert (words["devices"], words["num_nodes"]) == (devices, nodes)


@pytest.mark.parametrize(
    ("accelerator", "cuda", "devices", "nodes", "joined"),
    [
        ("cpu", True, 2, 1, True),
        ("cpu", False, 1, 2, True),
        ("cpu", False, 1, 1, False),
        ("gpu", True, 2, 1, False),  # there the engine puts torch's own in their place
    ],
)
def test_elsewhere_the_module_joins_all_its_batch_norms_itself(
    accelerator: str,
    cuda: bool,
    devices: int,
    nodes: int,
    joined: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    changes = {"accelerator": accelerator, "devices": devices, "nodes": nodes}
    recipe = complete(build("moco", {"encoder": {"widths": [4]}, **changes}), (3, 16, 16))
    norms = [m for m in Pretraining(recipe, n=8).modules() if isinstance(m, _BatchNorm)]
    assert len(norms) > 2
    assert all(type(m).__name__.startswith("Joined") == joined for m in norms)


# What another process is forked or spawned for must be pickled; a run's parts cannot be.
LAUNCHED = [
    name
    for name in StrategyRegistry.available_strategies()
    if not any(word in name for word in ("spawn", "fork", "notebook"))
]


@pytest.mark.parametrize("strategy", ["auto", *LAUNCHED])
def test_any_strategy_of_lightning_that_starts_processes_anew_is_passed_on(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_parts(build("simclr", {"strategy": strategy}))
    assert given(monkeypatch, strategy=strategy)["strategy"] == strategy


def test_a_strategy_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown strategy 'dpd'\. Did you mean 'ddp'"):
        check_parts(build("simclr", {"strategy": "dpd"}))


def test_what_lightning_refuses_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**words: Any) -> L.Trainer:
        raise ImportError("deepspeed is not installed")

    monkeypatch.setattr(module.L, "Trainer", refuse)
    with pytest.raises(UserError, match="not available here: deepspeed is not installed"):
        engine(build("simclr", {"logger": "none"}), Run(Path("run")), [])


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "3"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0", "SLURM_PROCID": "1"}, True),  # torchrun chose
        ({"RANK": "4", "LOCAL_RANK": "0"}, False),
    ],
)
def test_the_first_process_is_one_of_all_machines(
    environment: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", {**os.environ, **environment})
    assert is_first_process() is first
