"""The same SimCLR job in lightly, in one run: python benchmarks/peer.py

Needs: pip install lightly

lightly: its SimCLRTransform on PIL images under a DataLoader with two workers, its projection head
and its NTXentLoss. Ours: what ``viewfinder pretrain simclr`` does for a batch. Both: the same
encoder and layout, batch 256, two views of 32x32 without blur, SGD, the same precision. Rounds
alternate; each round is a fresh pass over the same images, its first batches not counted (they
hide the workers' start). Ours should have at least 1.3 times lightly's images a second with the
small ConvNet and no fewer with ResNet-18.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from PIL import Image
from rich.console import Console
from step import BATCH, WIDTHS, Clock
from torch import nn
from torch.utils.data import DataLoader, Dataset

from viewfinder.data.domain import Domain
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.channels_last import fast_layout
from viewfinder.networks.encoders import build_encoder
from viewfinder.recipes.recipe import build, complete
from viewfinder.runs.run import Run
from viewfinder.training.fit import network, trainer_for
from viewfinder.training.loader import loader

WARM = 3


class Pictures(Dataset):
    """PIL images through lightly's transform, as its tutorials do."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.transform = SimCLRTransform(input_size=32, gaussian_blur=0.0)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> list[torch.Tensor]:
        return self.transform(Image.fromarray(self.pixels[i]))


class Theirs:
    """SimCLR in lightly: the loop of its documentation."""

    def __init__(self, name: str, pixels: np.ndarray, bf16: bool) -> None:
        encoder, dim = build_encoder(name, Domain("images", (3, 32, 32)), WIDTHS.get(name))
        self.encoder = fast_layout(encoder)
        self.head = SimCLRProjectionHead(dim, 512, 128)
        self.loss = NTXentLoss(temperature=0.2)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=0.06, momentum=0.9, weight_decay=5e-4)
        self.loader = DataLoader(
            Pictures(pixels), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=2
        )
        self.bf16 = bf16

    def seconds_a_step(self) -> float:
        times = []
        for views in self.loader:
            x0, x1 = views[0], views[1]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                z0, z1 = self.head(self.encoder(x0)), self.head(self.encoder(x1))
            loss = self.loss(z0.float(), z1.float())
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            times.append(time.perf_counter())
        return (times[-1] - times[WARM]) / (len(times) - 1 - WARM)


class Ours:
    """The same with Viewfinder."""

    def __init__(self, name: str, pixels: np.ndarray, precision: str) -> None:
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        self.split = Split("train", ArrayData(images))
        words = {
            "encoder": {"name": name, **WIDTHS.get(name, {})},
            "optimizer": {"name": "sgd", "lr": 0.06, "weight_decay": 5e-4},
            "precision": precision,
            "logger": "none",
            "epochs": 1,
        }
        self.recipe = complete(build("simclr", words), (3, 32, 32))
        self.module: nn.Module = network(self.recipe, self.split)

    def seconds_a_step(self) -> float:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder))
            trainer = trainer_for(self.recipe, self.split, run, Console(quiet=True), "")
            trainer.callbacks = [clock]
            trainer.fit(self.module, loader(self.split, batch_size=BATCH, seed=0))
        return (clock.times[-1] - clock.times[WARM]) / (len(clock.times) - 1 - WARM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoders", nargs="*", default=["convnet", "resnet18"])
    arguments = parser.parse_args()
    for name in arguments.encoders:
        steps = 16 if name == "convnet" else 8
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (BATCH * steps, 32, 32, 3), dtype=np.uint8)
        theirs = Theirs(name, pixels, arguments.precision.startswith("bf16"))
        ours = Ours(name, pixels, arguments.precision)
        pairs = [
            (BATCH / theirs.seconds_a_step(), BATCH / ours.seconds_a_step())
            for _ in range(arguments.rounds)
        ]
        ratios = [b / a for a, b in pairs]
        print(
            f"{name:9s} {arguments.precision:10s} "
            f"lightly {statistics.median(a for a, _ in pairs):6.0f} "
            f"ours {statistics.median(b for _, b in pairs):6.0f} images/s  "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
