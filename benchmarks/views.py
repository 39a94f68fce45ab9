"""Two SimCLR views of images in memory: Viewfinder's batches against torchvision on PIL.

    python benchmarks/views.py [--rounds 3] [--seconds 3]

Peer: the same augmentation (``preset("simclr", size)``), image by image with torchvision's
transforms on PIL images, in a DataLoader with two workers, ending in collated float batches.
Ours: the preset's maker on uint8 batches in the main process. Random images; batches of 256 at
32 px (crop, flip, jitter, grey), of 64 at 96 px (blur too).

The two take turns, so that other work on the machine meets both, and medians of the rounds count:
at 32 px ours should make at least 4 times the images a second, at 96 px at least 1.5 times. The
processor time of both is printed beside it: other work leaves it almost alone.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

from viewfinder.views import ViewMaker, preset
from viewfinder.views.compose import preset_items
from viewfinder.views.steps.blur import default_kernel

WORKERS = 2
TARGETS = {32: 4.0, 96: 1.5}
BATCH = {32: 256, 96: 64}


@dataclass(frozen=True)
class Speed:
    """Images (of two views each) a second, and milliseconds of processor time an image."""

    rate: float
    cost: float


def torchvision_transform(size: int) -> T.Compose:
    """The preset in torchvision's classes, for PIL images."""
    options: dict[str, Any] = {i.step.name: i.options for i in preset_items("simclr", size)[0]}
    crop, jitter, blur = options["crop"], options["jitter"], options["blur"]
    kernel = default_kernel(size)
    return T.Compose(
        [
            T.RandomResizedCrop(size, crop.scale, crop.ratio),
            T.RandomHorizontalFlip(options["flip"].p),
            T.RandomApply([T.ColorJitter(*jitter.strength)], jitter.p),
            T.RandomGrayscale(options["grey"].p),
            *([T.RandomApply([T.GaussianBlur(kernel, blur.sigma)], blur.p)] if blur.p else []),
            T.ToTensor(),
            T.Normalize(options["normalise"].mean * 3, options["normalise"].std * 3),
        ]
    )


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Two views of PIL images, one image at a time."""

    def __init__(self, images: Tensor, length: int) -> None:
        self.images = [Image.fromarray(x) for x in images.permute(0, 2, 3, 1).numpy()]
        self.transform = torchvision_transform(images.shape[-1])
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index % len(self.images)]
        return self.transform(image), self.transform(image)


def processor_time() -> float:
    """Seconds of this process and of its workers that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime


def peer(images: Tensor, batches: int) -> Speed:
    """One pass over a DataLoader; the first batch of each worker, with its start, is not timed."""
    data = TwoViews(images, len(images) * batches)
    used = processor_time()
    loader = DataLoader(data, len(images), num_workers=WORKERS)
    stamps = [time.perf_counter() for _ in loader]
    used = processor_time() - used
    timed = len(images) * (batches - WORKERS)
    return Speed(timed / (stamps[-1] - stamps[WORKERS - 1]), 1e3 * used / len(data))


def ours(images: Tensor, maker: ViewMaker, seconds: float) -> Speed:
    """Views of the same batch again and again."""
    generator = torch.Generator().manual_seed(0)
    maker(images, generator)
    times, used = [], processor_time()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        maker(images, generator)
        times.append(time.perf_counter() - begin)
    used = processor_time() - used
    return Speed(len(images) / statistics.median(times), 1e3 * used / len(images) / len(times))


def compare(size: int, rounds: int, seconds: float) -> None:
    """Print the speeds at one size and their ratio."""
    maker = preset("simclr", size)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH[size], 3, size, size), np.uint8)
    images = torch.from_numpy(pixels)
    batches = 2 * WORKERS
    pilot = peer(images, batches)
    batches = max(batches, WORKERS * round(pilot.rate * seconds / len(images) / WORKERS) + WORKERS)
    pairs = [(ours(images, maker, seconds), peer(images, batches)) for _ in range(rounds)]
    mine, theirs = (
        Speed(*(statistics.median(getattr(p[i], f) for p in pairs) for f in ("rate", "cost")))
        for i in range(2)
    )
    print(
        f"{size} px: {mine.rate:,.0f} images/s against {theirs.rate:,.0f} "
        f"({1e3 * len(images) / mine.rate:.1f} ms a batch of {len(images)}): "
        f"{mine.rate / theirs.rate:.1f} times (target: at least {TARGETS[size]}); "
        f"processor time {mine.cost:.3f} against {theirs.cost:.3f} ms an image: "
        f"{theirs.cost / mine.cost:.1f} times less"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {WORKERS} loader workers")
    for size in TARGETS:
        compare(size, arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()
