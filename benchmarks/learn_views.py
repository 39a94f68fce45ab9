"""A step of learning views against its networks' own steps, in one run.

    python benchmarks/learn_views.py [--rounds 5]

Own: forward, backward and update of the networks that the method has, two for the bound and two
that classify where there are labels, on views that are ready as tensors, with the same losses, and
with the gradient of the views, which whoever makes them needs. Whole: what ``viewfinder
learn-views`` does for a batch: crops, colour space, generator, standardisation, all that again
backward, the generator's update. The ratio should be at most 1.20. Both take turns, several rounds;
medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from viewfinder.data.batch import Batch
from viewfinder.recipes.view_learning import GOALS, build_view_learning, completed
from viewfinder.training.view_learning import ViewTraining

BATCH, SIDE, CLASSES, TARGET = 128, 32, 10, 1.2


class Ready(torch.nn.Module):
    """In the place of the generator: views that are there."""

    def __init__(self, views: Tensor) -> None:
        super().__init__()
        self.views = views

    def forward(self, x: Tensor) -> Tensor:
        return self.views


def stepper(module: ViewTraining, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """A function that makes a step and says how many seconds it took."""
    optimizer: Any = module.configure_optimizers()

    def step() -> float:
        begun = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        return time.perf_counter() - begun

    return step


def measure(method: str, rounds: int, steps: int) -> None:
    """Print the ratio for one method."""
    words = {"accelerator": "cpu", "batch_size": BATCH}
    recipe = completed(build_view_learning(method, words), (3, SIDE, SIDE))
    pixels = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)
    label = torch.where(torch.arange(BATCH) % 2 == 0, torch.arange(BATCH) % CLASSES, -1)
    batch = Batch(pixels, torch.arange(BATCH), label)
    whole, own = (ViewTraining(recipe, CLASSES) for _ in range(2))
    whole.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    views = torch.randn(BATCH, 3, SIDE, SIDE, requires_grad=True)
    learning = stepper(whole, lambda: whole_loss(whole, batch))
    networks = stepper(own, lambda: own.terms(views, label)["loss"])
    own.space = Ready(views)  # type: ignore[assignment]
    ratios, times = [], []
    for _ in range(rounds + 1):
        pairs = [(learning(), networks()) for _ in range(steps)]
        a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios.append(a / b)
        times.append((a, b))
    whole_ms, own_ms = (1e3 * statistics.median(c) for c in zip(*times[1:], strict=True))
    print(
        f"{method:16s} networks {own_ms:7.1f} ms  whole {whole_ms:7.1f} ms  ratio "
        f"{statistics.median(ratios[1:]):.3f} ({min(ratios[1:]):.3f} to {max(ratios[1:]):.3f}; "
        f"target: at most {TARGET:g})",
        flush=True,
    )


def whole_loss(module: ViewTraining, batch: Batch) -> Tensor:
    loss: Tensor = module.training_step(batch, 0)["loss"]
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, batch {BATCH}, views of {SIDE} px")
    for method in GOALS:
        measure(method, given.rounds, given.steps)


if __name__ == "__main__":
    main()
