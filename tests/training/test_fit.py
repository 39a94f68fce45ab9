"""Training: an interrupted run equals an uninterrupted one, alarms go off, nothing good is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from viewfinder.commands.main import main
from viewfinder.core.errors import RunStopped, UserError
from viewfinder.data.source import Attributes, Split, words_of
from viewfinder.data.stored import ArrayData
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import Recipe, build, complete, merge
from viewfinder.regularizers import REGULARIZERS
from viewfinder.runs.checkpoint import load_weights
from viewfinder.runs.run import Run, load_encoder
from viewfinder.training.fit import fit, network
from viewfinder.training.loader import EpochBatches, loader

TINY = {
    "epochs": 3,
    "batch_size": 16,
    "logger": "none",
    "accelerator": "cpu",
    "encoder": {"widths": [4, 8]},
}
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    labels = np.arange(50) % 3
    images = rng.integers(0, 256, (50, 3, 16, 16)) // 2 + 40 * labels[:, None, None, None]
    columns = np.stack([labels % 2, np.arange(50) // 25], axis=1)
    return Split(
        "train",
        ArrayData(torch.from_numpy(images.astype(np.uint8))),
        labels,
        attributes=Attributes(columns, ["even", "late"]),
    )


def recipe_of(method: str, split: Split, **changes: object) -> Recipe:
    if isinstance(changes.get("objective"), str):
        changes["objective"] = {"name": changes["objective"]}
    row = METHODS[method].settings.get("negatives", {})
    small: dict[str, Any] = {"negatives": {"size": 40}} if "size" in row else {}
    if isinstance(METHODS[method].settings.get("positives", {}).get("k"), list):
        small["positives"] = {"k": [4, 3]}
    tiny: dict[str, Any] = TINY
    if split.data.modality == "tokens":
        tiny = {**TINY, "encoder": {"width": 8}}
    data = split.data
    recipe = build(method, merge(tiny, small, changes))
    return complete(recipe, data.shape, data.modality, words_of(data))


def sentences() -> Split:
    """Of two to six words out of nine, the next always the one behind."""
    tokens = torch.full((50, 6), 9)
    for i, row in enumerate(tokens):
        row[: 2 + i % 5] = (i + torch.arange(2 + i % 5)) % 9
    return Split("train", ArrayData(tokens, "tokens", words=tuple("abcdefghi")))


class InterruptError(Exception):
    pass


KMEANS = {"name": "kmeans", "k": 4, "every": 2}
VARIANTS: list[tuple[str, dict]] = [
    *((m, {}) for m in METHODS if m not in ("ci-infonce", "ci-infonce-batch")),
    ("moco", {"positives": KMEANS}),
    ("moco", {"negatives": {"name": "bank", "size": 9}, "positives": {"name": "labels"}}),
    ("moco", {"negatives": {"name": "bank", "size": 3, "nearest": 9, "by": "memory"}}),
    ("moco", {"negatives": {"name": "bank", "size": 9}, "objective": "nce"}),
    ("ci-infonce-batch", {"positives": {"name": "attributes", "top_k": 2}}),
    ("ci-infonce-batch", {"positives": KMEANS}),
    ("ci-infonce-batch", {"positives": {"name": "tags"}}),
    (
        "ci-infonce-batch",
        {"positives": {**KMEANS, "sampler": "clusters"}, "objective": "ci-infonce"},
    ),
    ("ci-infonce-batch", {"positives": {"top_k": 2}, "objective": {"name": "ci-infonce"}}),
    ("swav", {"objective": {"queue": 40}}),
    ("swav", {"objective": {"queue": 16}, "views": {"count": 3}}),
    ("carl", {"objective": {"pairs": "symmetric"}}),
    ("simclr", {"regularizers": {"rc": 1, "lbe": {"weight": 1, "stages": {"stage1": 1.0}}}}),
    ("byol", {"regularizers": dict.fromkeys(REGULARIZERS, 0.1)}),
    ("cross-entropy", {"regularizers": {"rc": 0.001, "lbe": 0.1}}),
]


@pytest.mark.parametrize(("method", "changes"), VARIANTS)
def test_stopped_anywhere_and_resumed_equals_never_stopped(
    method: str, changes: dict, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split if METHODS[method].modality == "images" else sentences()
    recipe = recipe_of(method, split, **changes)
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    fit(recipe, split, whole, QUIET, "")

    from viewfinder.training.module import Pretraining

    step = Pretraining.training_step
    seen = []

    def dies_in_the_third_epoch(self: Pretraining, batch: object, index: int) -> object:
        seen.append(index)
        if len(seen) == 8:  # three steps an epoch: the second step of the third
            raise InterruptError
        return step(self, batch, index)

    monkeypatch.setattr(Pretraining, "training_step", dies_in_the_third_epoch)
    with pytest.raises(InterruptError):
        fit(recipe, split, broken, QUIET, "")
    monkeypatch.setattr(Pretraining, "training_step", step)
    fit(recipe, split, broken, QUIET, "")

    last = whole.last_checkpoint()
    resumed = broken.last_checkpoint()
    assert last is not None
    assert resumed is not None
    first, second = load_weights(last), load_weights(resumed)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different

    def measured(run: Run) -> list[list[str]]:
        rows = run.metrics_file.read_text().splitlines()
        return [row.split(",")[:-2] for row in rows]  # the last are timings

    assert measured(whole) == measured(broken)


def test_a_killed_process_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was another process that was killed; this one goes on, and makes the reference."""
    words = "simclr data=digits data.limit=300 epochs=4 batch_size=64 encoder.widths=[4,8] "
    words += "evaluation.baselines=false evaluation.protocols=[knn] logger=none accelerator=cpu"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    code = "from viewfinder.commands.main import main; main()"
    victim = subprocess.Popen(
        [sys.executable, "-c", code, "pretrain", *words.split(), "--out", str(broken)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (broken / "checkpoints" / "epoch-00001").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    def command(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["viewfinder", "pretrain", *arguments])
        monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code == 0

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are as the other process has made them
    try:
        command(*words.split(), "--out", str(whole))
        command("--resume", str(broken))
    finally:
        torch.set_num_threads(threads)
    file = "checkpoints/epoch-00004/weights.safetensors"
    assert (whole / file).read_bytes() == (broken / file).read_bytes()
    assert (broken / "report.html").exists()


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from viewfinder.training.module import Pretraining

    step = Pretraining.training_step

    def nan_in_the_second_epoch(self: Pretraining, batch: object, index: int) -> dict:
        found = step(self, batch, index)  # type: ignore[arg-type]
        return {**found, "loss": found["loss"] * torch.nan} if self.current_epoch == 1 else found

    monkeypatch.setattr(Pretraining, "training_step", nan_in_the_second_epoch)
    run = Run(tmp_path)
    with pytest.raises(RunStopped, match="nan in epoch 2"):
        fit(recipe_of("simclr", split), split, run, QUIET, "")
    last = run.last_checkpoint()
    assert last is not None
    assert last.name == "epoch-00001"
    assert all(torch.isfinite(v).all() for v in load_weights(last).values())


def test_a_collapsed_encoder_raises_the_alarm(split: Split, tmp_path: Path) -> None:
    recipe = recipe_of("byol", split)
    run = Run(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viewfinder.networks.convnet.ConvNet.forward", _constant)
        with pytest.raises(RunStopped, match="collapsed"):
            fit(recipe, split, run, QUIET, "")
    assert run.last_checkpoint() is None


def _constant(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x.mean() * 0 + torch.ones(len(x), 8, requires_grad=True)


def test_a_run_reads_back_the_encoder_it_trained(split: Split, tmp_path: Path) -> None:
    recipe = recipe_of("simclr", split)
    run = Run(tmp_path)
    run.recipe_file.write_text(recipe.to_yaml())
    trained = fit(recipe, split, run, QUIET, "").encoder
    encoder, again, _ = load_encoder(run)
    assert again.to_yaml() == recipe.to_yaml()
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(trained.eval()(x), encoder(x))


def test_a_checkpoint_of_another_recipe_is_refused(split: Split, tmp_path: Path) -> None:
    run = Run(tmp_path)
    fit(recipe_of("simclr", split), split, run, QUIET, "")
    other = recipe_of("simclr", split, encoder={"widths": [4, 16]})
    run.recipe_file.write_text(other.to_yaml())
    with pytest.raises(UserError, match="is of another run"):
        load_encoder(run)
    with pytest.raises(UserError, match="is of another run"):
        fit(other, split, run, QUIET, "")


def test_untrained_weights_depend_on_the_seed_alone(split: Split) -> None:
    torch.manual_seed(5)
    a = network(recipe_of("simclr", split), split).encoder.state_dict()
    torch.manual_seed(6)
    b = network(recipe_of("simclr", split), split).encoder.state_dict()
    c = network(recipe_of("simclr", split, seed=1), split).encoder.state_dict()
    key = "stage1.0.weight"
    assert torch.equal(a[key], b[key])
    assert not torch.equal(a[key], c[key])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_ranks_share_out_the_same_batches(world: int) -> None:
    ranks = [EpochBatches(np.arange(50), 16, seed=3, rank=r, world=world) for r in range(world)]
    single = EpochBatches(np.arange(50), 16, seed=3)
    for batches in (*ranks, single):
        batches.set_epoch(2)
    joined = [[*chain(*parts)] for parts in zip(*ranks, strict=True)]
    assert joined == list(single)
    seen = [*chain(*joined)]
    assert len(seen) == len(set(seen)) == 48


def test_worker_processes_are_sent_the_epoch_that_is_trained(split: Split) -> None:
    def z() -> np.ndarray:
        return clusters

    for sampler in SAMPLERS.values():
        clusters = np.arange(50)  # each image its own, until the network has been clustered
        batches = loader(split, batch_size=16, seed=3, workers=1, sampler=sampler, z=z)
        taken = iter(batches)  # the engine makes it before the epoch is known
        assert isinstance(batches.batch_sampler, EpochBatches)
        batches.batch_sampler.set_epoch(2)
        clusters = np.arange(50) % 3
        seen = [batch.index.tolist() for batch in taken]
        expected = EpochBatches(np.arange(50), 16, seed=3, sampler=sampler, z=z)
        expected.set_epoch(2)
        assert seen == list(expected)


def test_every_epoch_has_its_own_order() -> None:
    batches = EpochBatches(np.arange(50), 16, seed=3)
    first = list(batches)
    batches.set_epoch(1)
    assert list(batches) != first
    batches.set_epoch(0)
    assert list(batches) == first


def test_clusters_of_kmeans_are_predicted_with_an_output_each(split: Split) -> None:
    recipe = recipe_of("cross-entropy", split, positives={"name": "kmeans", "k": 4})
    projector = network(recipe, split).online["main"].projector
    assert [p.shape[0] for p in projector.parameters()] == [
        4,
        4,
    ]


def test_a_momentum_target_follows_the_online_network(split: Split, tmp_path: Path) -> None:
    still = recipe_of("moco", split, target={"momentum": 1.0, "final_momentum": 1.0})
    module = fit(still, split, Run(tmp_path / "still"), QUIET, "")
    untouched = network(still, split)
    assert torch.equal(module.steady()[0].stage1[0].weight, untouched.encoder.stage1[0].weight)
    copied = recipe_of("moco", split, target={"momentum": 0.0, "final_momentum": 0.0})
    module = fit(copied, split, Run(tmp_path / "copied"), QUIET, "")
    assert module.steady()[0] is not module.encoder
    assert torch.equal(module.steady()[0].stage1[0].weight, module.encoder.stage1[0].weight)
