"""Colour spaces of a batch: Viewfinder's conversions against scikit-image's.

    pip install scikit-image
    python benchmarks/colour.py [--rounds 5] [--device cuda]

The same 512 images of 64 px, 8 bits, for both. The peer's (H, W, C), image by image with
``skimage.color``, which computes in float64, as the dataset class of CMC's released code does; ours
(N, C, H, W) by the functions of ``viewfinder.views.colours.spaces`` in float32, from 8 bits, in the
chunks and threads the renderer uses. The two take turns, and medians count. 10 times the images
a second is the aim; on a CPU only HSV comes near it, as both spend their time on the same powers
and logarithms, or, where the space is a matrix, on the memory.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage import color
from torch import Tensor

from viewfinder.views.chunks import chunks, run_all
from viewfinder.views.colours.spaces import SPACES

IMAGES, SIDE, TARGET = 512, 64, 10.0


def ours(name: str, images: Tensor, out: Tensor) -> None:
    """The conversion as a step's is made: chunk by chunk, on as many threads as torch has."""

    @torch.no_grad()
    def task(part: slice) -> None:
        out[part] = SPACES[name].of_rgb(images[part] / 255)

    parts = chunks(len(images), images[:1].numel(), images.device)
    run_all([functools.partial(task, part) for part in parts], images.device)
    if images.is_cuda:
        torch.cuda.synchronize()


def theirs_of(convert: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> None:
    """The peer's conversion, image by image."""
    for image in pixels:
        convert(image)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    shape, seeded = (IMAGES, SIDE, SIDE, 3), torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded)
    images = pixels.permute(0, 3, 1, 2).contiguous().to(given.device)
    out = torch.empty(images.shape, device=given.device)
    print(f"{given.device}, {torch.get_num_threads()} threads")
    for name in list(SPACES)[1:]:  # the first is RGB itself
        convert = functools.partial(ours, name, images, out)
        peer = functools.partial(theirs_of, getattr(color, f"rgb2{name}"), pixels.numpy())
        convert()
        pairs = [(seconds(convert), seconds(peer)) for _ in range(given.rounds)]
        mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"{name}: {IMAGES / mine:,.0f} images/s against {IMAGES / theirs:,.0f}: "
            f"{theirs / mine:.1f} times (target: at least {TARGET:g})"
        )


if __name__ == "__main__":
    main()
