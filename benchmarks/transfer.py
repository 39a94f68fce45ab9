"""Transfer over ten sets against the ten feature extractions it cannot do without, in one run.

    python benchmarks/transfer.py [--encoder resnet18] [--images 2000] [--sets 10] [--rounds 3]

Extraction: the images of both splits of every set through the frozen encoder, and nothing else.
Transfer: all that the command does for its trained encoder between opened sets and scores: content
digests, extraction, the features written to disk, linear probes with their choice of a weight
decay, kNN with ``--knn``. Sets have 10 classes, images of 32 px: each class a random picture under
noise. The ratio of the medians should be at most 1.20.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from viewfinder.data.source import Source, Split
from viewfinder.data.stored import ArrayData
from viewfinder.evaluation.probing import untrained
from viewfinder.evaluation.tasks.transfer import TransferSet, transfer_scores
from viewfinder.networks.frozen_features import extract
from viewfinder.recipes.parts import Data
from viewfinder.recipes.recipe import build, complete
from viewfinder.runs.run import pick_device

CLASSES, SIDE = 10, 32


def made_set(number: int, images: int) -> TransferSet:
    """A set of ``images`` to train on and a fifth as many to test."""
    rng = np.random.default_rng(number)
    centres = rng.integers(0, 256, (CLASSES, 3, SIDE, SIDE))
    splits = {}
    for name, count in (("train", images), ("test", max(CLASSES, images // 5))):
        labels = np.arange(count) % CLASSES
        pixels = 0.3 * centres[labels] + 0.7 * rng.integers(0, 256, (count, 3, SIDE, SIDE))
        tensor = torch.from_numpy(pixels.astype(np.uint8))
        splits[name] = Split(name, ArrayData(tensor), labels)
    return TransferSet(Data(source=f"set{number}"), Source(f"set{number}", splits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--sets", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--knn", action="store_true")
    parser.add_argument("--precision", default="32")
    arguments = parser.parse_args()
    words = {"encoder": {"name": arguments.encoder}, "precision": arguments.precision}
    recipe = complete(build("simclr", {**words, "views": {"size": SIDE}}), (3, SIDE, SIDE))
    encoder, device = untrained(recipe), pick_device(recipe.accelerator)
    sets = [made_set(number, arguments.images) for number in range(arguments.sets)]
    protocols = ["linear", *(["knn"] if arguments.knn else [])]

    def extraction() -> None:
        for one in sets:
            for split in one.source.splits.values():
                extract(
                    encoder,
                    split.data,
                    recipe.view_maker().frozen,
                    device=device,
                    precision=recipe.precision,
                )

    def transfer() -> None:
        with tempfile.TemporaryDirectory() as folder:
            transfer_scores(
                encoder, recipe, sets, protocols=protocols, kinds=["trained"], cache=Path(folder)
            )

    extraction()  # warm
    times: dict[str, list[float]] = {"extraction": [], "transfer": []}
    for _ in range(arguments.rounds):
        for name, work in (("extraction", extraction), ("transfer", transfer)):
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    images = sum(len(split) for one in sets for split in one.source.splits.values())
    for name, seconds in medians.items():
        print(f"{name:12}{seconds:8.2f} s  {images / seconds:9,.0f} images/s")
    print(
        f"ratio {medians['transfer'] / medians['extraction']:.3f}, at most 1.20 "
        f"({arguments.encoder}, {arguments.sets} sets, {device.type}, {', '.join(protocols)})"
    )


if __name__ == "__main__":
    main()
