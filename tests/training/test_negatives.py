"""Negatives in a run: what they store stays true when Z is made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from rich.console import Console

from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.runs.run import Run
from viewfinder.training.fit import fit, network

WORDS = ["encoder.widths=[4,8]", "batch_size=16", "epochs=4", "logger=none", "accelerator=cpu"]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 16, 16)).astype(np.uint8)
    return Split("train", ArrayData(torch.from_numpy(images)), np.arange(50) % 3)


def recipe_of(*words: str) -> Recipe:
    return complete(build("moco", parse_overrides([*WORDS, *words])), (3, 16, 16))


class Right(L.Callback):
    """The share of stored clusters that are those of their images, before and after each epoch."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.own: list[bool] = []

    def look(self, module: Any) -> None:
        held = module.negatives["main"].index >= 0
        if held.any():
            index, cluster = (
                module.negatives["main"].index[held],
                module.negatives["main"].cluster[held],
            )
            self.shares.append((cluster == module.clusters[index]).double().mean().item())
            self.own.append(bool((cluster == index).all()))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.look(pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.look(pl_module)


@pytest.mark.parametrize("negatives", ["queue:40", "bank:9"])
def test_clusters_that_are_stored_are_those_of_the_newest_clustering(
    negatives: str, split: Split, tmp_path: Path
) -> None:
    """In the first epoch each image is its own cluster; then k-means renumbers all of them, and
    what was stored as an image's own number would be mistaken for a cluster's."""
    words = ["positives=kmeans", "positives.k=5", "positives.start=1", f"negatives={negatives}"]
    right = Right()
    module: Any = fit(recipe_of(*words), split, Run(tmp_path), QUIET, "", [right])
    assert right.shares == [1.0] * len(right.shares)
    assert len(right.shares) >= 7
    assert right.own[0]  # numbers of images
    assert not any(right.own[-6:])  # from the first clustering on, of clusters
    assert module.negatives["main"].cluster.max() < 5


def test_a_bank_knows_its_clusters_from_the_start(split: Split) -> None:
    module: Any = network(recipe_of("negatives=bank", "positives=labels"), split)
    assert torch.equal(module.negatives["main"].cluster, torch.arange(50) % 3)
    assert module.negatives["main"].table.shape == (50, 128)
    plain: Any = network(recipe_of("negatives=bank"), split)
    assert (plain.negatives["main"].cluster == -1).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["negatives=bank", "negatives.nearest=50"], r"negatives.nearest=50.*only 49 others"),
        (["negatives=bank", "negatives.nearest=9", "negatives.draws=shared"], "draws=each"),
        (["negatives=bank", "negatives.alpha=1.5"], r"negatives.alpha is 1.5.*negatives.alpha=1"),
        (["negatives=bank:4096", "negatives.nearest=32"], r"128 times.*negatives.size=null"),
        (["negatives=bank:many"], "negatives.size is 'many'"),
        (["negatives=quueue"], "Did you mean 'queue'"),
        (["negatives=batch:3", "target=shared"], "takes nothing behind a colon"),
        (["negatives=batch", "negatives.size=3"], r"has no option 'size' \(queue, bank,"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: list[str], says: str, split: Split) -> None:
    with pytest.raises(UserError, match=says):
        network(recipe_of(*words), split)


class Seen(L.Callback):
    """What the memory holds of Z, and knows of the epoch, at the end of each."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.alone: list[bool] = []
        self.right: list[bool] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        bank = module.negatives["main"]
        self.epochs.append(bank.epoch)
        self.alone.append(bool((bank.cluster == torch.arange(50)[:, None]).all()))
        self.right.append(torch.equal(bank.cluster, module.clusters))


@pytest.mark.parametrize("method", ["la", "annulus"])
def test_a_memory_keeps_all_clusterings_and_is_told_of_epochs(
    method: str, split: Split, tmp_path: Path
) -> None:
    """Until the first clustering every image is alone in its cluster, so that nothing is close: the
    warm start of local aggregation is instance discrimination."""
    words = ["positives.k=[5,5,3]", "positives.start=2", "negatives.size=20", "negatives.start=2"]
    recipe = build(method, parse_overrides([*WORDS, *words]))
    seen = Seen()
    fit(complete(recipe, (3, 16, 16)), split, Run(tmp_path), QUIET, "", [seen])
    assert seen.epochs == [0, 1, 2, 3]
    assert seen.alone == [True, True, False, False]
    assert seen.right == [True] * 4
