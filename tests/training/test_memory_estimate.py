"""What a run needs of memory is known, and refused by its key, before anything is made."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from viewfinder.core.errors import UserError
from viewfinder.core.optimizers import OPTIMIZERS
from viewfinder.negatives import NEGATIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.training import memory
from viewfinder.training.memory import available, check_memory, needs
from viewfinder.training.optimizers import build_optimizer
from viewfinder.training.parts import Parts

SMALL = ["encoder.widths=[4,8]", "batch_size=8"]


def of(method: str, *words: str) -> tuple[Recipe, np.ndarray | None]:
    """A complete recipe for images of 16 px, and clusters where it has some."""
    bank = METHODS[method].settings.get("target", {}).get("name") == "bank"
    row = NEGATIVES.get(METHODS[method].settings.get("negatives", {}).get("name", ""))
    few = [f"negatives.{row.bare}=40"] if bank and row else []  # of 50 images
    recipe = complete(build(method, parse_overrides([*SMALL, *few, *words])), (3, 16, 16))
    named = recipe.positives.name != "instance"
    z = np.arange(50) % 5 if named else None
    if recipe.positives.row.kind(recipe.objective.row.positives) == "clusterings":
        z = np.zeros((50, 3), np.int64)
    return recipe, z


def size(tensors: Any) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)


@pytest.mark.parametrize("method", [m for m, row in METHODS.items() if row.modality == "images"])
def test_every_method_is_counted_as_it_is_built(method: str) -> None:
    recipe, z = of(method, "optimizer=adamw")
    counted = needs(recipe, z, None, 50)
    parts = Parts(recipe, z, None, 50)
    trained = [p for p in parts.parameters() if p.requires_grad]
    # weights, gradients and Adam's two moments of what is trained; the rest once
    kept = 3 * size(trained) + size(parts.parameters()) + size(parts.buffers())
    drawn = 8 * 8 * 40 if recipe.target.name == "bank" else 0
    steps = {"batch_size", "workers"}
    assert sum(v for k, v in counted.items() if k not in steps) == kept + drawn
    assert counted["batch_size"] > 8 * 3 * 16 * 16 * 4


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_keeps_what_its_row_says(name: str, momentum: float) -> None:
    layer = torch.nn.Linear(30, 20)
    part = build("simclr", {"optimizer": {"name": name, "momentum": momentum}}).optimizer
    optimizer = build_optimizer(layer, part, 256)
    layer(torch.ones(4, 30)).sum().backward()
    optimizer.step()
    kept = [v for state in optimizer.state.values() for v in state.values()]
    large = [v for v in kept if isinstance(v, torch.Tensor) and v.numel() > 1]
    assert size(large) == OPTIMIZERS[name].states(momentum) * size(layer.parameters())


@pytest.mark.parametrize(
    ("method", "words", "key"),
    [
        ("moco", ["negatives.size=1e9"], "negatives.size"),
        ("instdis", ["negatives.size=1e9", "batch_size=64"], "negatives.size"),
        ("simclr", ["encoder.widths=[1000000,1000000]"], "encoder.widths"),
        ("simclr", ["head.projector=[1000000,1000000]"], "head.projector"),
        ("swav", ["objective.queue=1e9"], "objective"),
        ("simclr", ["batch_size=1e6"], "batch_size"),
        ("simclr", ["workers=1000", "batch_size=1e5", "encoder.widths=[1]"], "workers"),
    ],
)
def test_what_cannot_fit_is_refused_by_its_key_at_once(
    method: str, words: list[str], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda recipe: 15 * 10**9)
    recipe, z = of(method, *words)
    started = time.process_time()
    with pytest.raises(UserError, match=rf"of which {key}.* takes .* GB; there are 15 GB"):
        check_memory(recipe, z, None, 50, Console())
    assert time.process_time() - started < 20


def test_more_than_half_is_a_note_and_less_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, z = of("simclr")
    total = sum(needs(recipe, z, None, 50).values())
    for there, said in ((2 * total, False), (2 * total - 2, True), (total, True)):
        monkeypatch.setattr(memory, "available", lambda recipe, there=there: there)
        check_memory(recipe, z, None, 50, Console())
        assert ("note:" in capsys.readouterr().out) == said


def test_the_machine_has_some_memory() -> None:
    recipe, _ = of("simclr", "accelerator=cpu")
    assert 2**28 < (available(recipe) or 0) < 2**50
