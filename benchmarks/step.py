"""A whole pretraining step against the bare encoder, in one run.

    python benchmarks/step.py [--precision 32] [--rounds 5]

Bare: the encoder's forward, backward and update on two times 256 views that are ready as tensors,
one pass for each of the two, which is faster than one pass for both.
Whole: what ``viewfinder pretrain simclr`` does for a batch of 256: read the images, make two
views, encode, project, NT-Xent, backward, update, log. The ratio should be at most 1.10.
Both are timed in turn, several rounds of several steps each; medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from rich.console import Console
from torch import nn

from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.channels_last import fast_layout
from viewfinder.recipes.recipe import build, complete
from viewfinder.runs.run import Run
from viewfinder.training.fit import network, trainer_for
from viewfinder.training.loader import loader
from viewfinder.training.optimizers import build_optimizer

BATCH = 256
WIDTHS = {"convnet": {"widths": [32, 64, 128, 256]}}
"""Options of the encoders that are measured; others have their defaults."""


class Clock(L.Callback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())


def bare(encoder: nn.Module, optimizer: Any, views: list, steps: int, bf16: bool) -> list:
    """Seconds of each step of the encoder alone."""
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = torch.cat([encoder(view) for view in views])
        loss = features.float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begun)
    return seconds


def measure(encoder: str, precision: str, rounds: int, steps: int) -> None:
    """Print the ratio for one encoder."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (BATCH * steps, 3, 32, 32), dtype=np.uint8))
    split = Split("train", ArrayData(pixels))
    words = {
        "encoder": {"name": encoder, **WIDTHS.get(encoder, {})},
        "precision": precision,
        "logger": "none",
    }
    recipe = complete(build("simclr", {**words, "epochs": 1}), (3, 32, 32))
    module = network(recipe, split)
    alone = fast_layout(network(recipe, split).encoder.train())
    views = [torch.randn(BATCH, 3, 32, 32) for _ in range(2)]
    optimizer = build_optimizer(alone, recipe.optimizer, BATCH)
    bf16 = precision.startswith("bf16")
    bare(alone, optimizer, views, 2, bf16)
    ratios, whole_ms, bare_ms = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            clock = Clock()
            trainer = trainer_for(
                recipe, split, Run(Path(folder) / str(i)), Console(quiet=True), ""
            )
            trainer.callbacks = [clock]
            trainer.fit(module, loader(split, batch_size=BATCH, seed=0))
            whole = statistics.median(np.diff(clock.times).tolist())
            own = statistics.median(bare(alone, optimizer, views, steps, bf16))
            ratios.append(whole / own)
            whole_ms.append(whole * 1e3)
            bare_ms.append(own * 1e3)
    print(
        f"{encoder:9s} {precision:10s} bare {statistics.median(bare_ms):7.1f} ms  "
        f"whole {statistics.median(whole_ms):7.1f} ms  "
        f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoders", nargs="*", default=["convnet", "resnet18"])
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, batch {BATCH}, two views of 32x32; at most 1.10")
    for encoder in arguments.encoders:
        steps = 8 if encoder == "convnet" else 4
        measure(encoder, arguments.precision, arguments.rounds, steps)


if __name__ == "__main__":
    main()
