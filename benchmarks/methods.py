"""What methods and regularizers cost beyond the passes of their networks, in one run.

    python benchmarks/methods.py [--rounds 5]

1. A whole step of BYOL and CARL (views, loss, moving average, log) against the forward and backward
   passes of the same networks on ready views alone: at most 1.15.
2. RC's decoder and LBE as a share of a SimCLR step with ResNet-18 at 32x32: at most 0.35 and 0.05.
3. The loss of CI-InfoNCE (several positives) against NT-Xent on the same 2 x 4096 x 128: at most
   1.1, forward and backward.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from step import BATCH, WIDTHS, Clock
from torch import Tensor

from viewfinder.data.batch import Batch
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.objectives import nt_xent, supcon
from viewfinder.recipes.recipe import Recipe, build, complete, merge
from viewfinder.runs.run import Run
from viewfinder.training.fit import network, trainer_for
from viewfinder.training.loader import loader
from viewfinder.training.module import Pretraining
from viewfinder.training.optimizers import build_optimizer


def images(steps: int) -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH * steps, 3, 32, 32), dtype=np.uint8)
    return Split("train", ArrayData(torch.from_numpy(pixels)))


def recipe_of(method: str, encoder: str, precision: str, **more: object) -> Recipe:
    own = {
        "encoder": {"name": encoder, **WIDTHS.get(encoder, {})},
        "precision": precision,
        "logger": "none",
        "epochs": 1,
    }
    return complete(build(method, merge(own, more)), (3, 32, 32))


def whole(module: Pretraining, split: Split) -> float:
    """Seconds of a step as ``viewfinder pretrain`` runs it."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        recipe = module.recipe
        trainer = trainer_for(recipe, split, Run(Path(folder)), Console(quiet=True), "")
        trainer.callbacks = [clock]
        trainer.fit(module, loader(split, batch_size=BATCH, seed=0))
    return statistics.median(np.diff(clock.times).tolist())


def passes(module: Pretraining, split: Split, steps: int) -> float:
    """Seconds of the forward and backward passes and the update alone, on ready views."""
    batch = Batch(split.data.read(np.arange(BATCH)), torch.arange(BATCH))
    views = module.views(batch, 0)
    optimizer = build_optimizer(module, module.recipe.optimizer, BATCH)
    bf16 = module.recipe.precision.startswith("bf16")
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            online, _, _ = module.project(views, 0)
        torch.cat(online).float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def overhead(method: str, rounds: int, steps: int = 8) -> None:
    """Print whole step / passes for one method."""
    split = images(steps)
    module = network(recipe_of(method, "convnet", "32"), split)
    passes(module, split, 2)
    ratios = [whole(module, split) / passes(module, split, steps) for _ in range(rounds)]
    print(f"{method:8s} step / its passes   {_spread(ratios)}   at most 1.15", flush=True)


def share(rounds: int, steps: int = 3) -> None:
    """Print what RC and LBE add to a ResNet-18 step."""
    split = images(steps)
    added: dict[str, list[float]] = {"rc": [], "lbe": []}
    modules = {
        name: network(recipe_of("simclr", "resnet18", "bf16-mixed", regularizers=r), split)
        for name, r in (("plain", {}), ("rc", {"rc": 1}), ("lbe", {"lbe": 1}))
    }
    for module in modules.values():
        whole(module, split)
    for _ in range(rounds):
        plain = whole(modules["plain"], split)
        for name, ratios in added.items():
            ratios.append(whole(modules[name], split) / plain - 1)
    print(f"rc  added to a ResNet-18 step  {_spread(added['rc'])}   at most 0.35", flush=True)
    print(f"lbe added to a ResNet-18 step  {_spread(added['lbe'])}   at most 0.05", flush=True)


def losses(rounds: int) -> None:
    """Print CI-InfoNCE / NT-Xent of the same size."""
    views = [torch.randn(4096, 128).requires_grad_() for _ in range(2)]
    labels = torch.randint(0, 400, (4096,))

    def clocked(loss: Callable[[], Tensor]) -> float:
        begun = time.perf_counter()
        loss().backward()
        return time.perf_counter() - begun

    ours: Callable[[], Tensor] = lambda: supcon(views, labels, 0.1)  # noqa: E731
    peer: Callable[[], Tensor] = lambda: nt_xent(views[0], views[1], 0.1)  # noqa: E731
    clocked(ours)
    clocked(peer)
    ratios = [clocked(ours) / clocked(peer) for _ in range(rounds)]
    print(f"ci-infonce / nt_xent           {_spread(ratios)}   at most 1.1", flush=True)


def _spread(x: list[float]) -> str:
    return f"{statistics.median(x):.3f} ({min(x):.3f} to {max(x):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, batch {BATCH}, two views of 32x32")
    losses(2 * arguments.rounds)
    for method in ("byol", "carl"):
        overhead(method, arguments.rounds)
    share(arguments.rounds)


if __name__ == "__main__":
    main()
