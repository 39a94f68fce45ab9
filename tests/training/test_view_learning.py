"""Learning views: who goes up and down which term, what is resumed, and what stops a training."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from rich.console import Console
from torch.nn.parallel import DistributedDataParallel

from viewfinder.core.errors import RunStopped
from viewfinder.data.source import Split
from viewfinder.data.splits import few_labels
from viewfinder.data.stored import ArrayData
from viewfinder.objectives.info_nce import info_nce
from viewfinder.positives.labelled import HALF_LABELLED, LABELLED_ALONE, parts_of_batch
from viewfinder.positives.sampler import Epoch
from viewfinder.recipes.view_learning import GOALS, ViewLearning, build_view_learning, completed
from viewfinder.runs.checkpoint import load_weights
from viewfinder.runs.view_run import ViewRun
from viewfinder.training.learn_views import learn
from viewfinder.training.view_learning import ViewTraining
from viewfinder.training.view_measures import GeneratorMeasures, diagnose_generator, measured

QUIET = Console(quiet=True)
CLASSES, N = 3, 48
WORDS: dict[str, Any] = {
    "encoder": {"widths": [4, 6]},
    "networks": {"projector": [8, 5], "lr": 0.01},
    "generator": {"lr": 0.01},
    "batch_size": 16,
    "epochs": 3,
    "logger": "none",
    "accelerator": "cpu",
}


def recipe_of(method: str, **more: Any) -> ViewLearning:
    return completed(build_view_learning(method, {**WORDS, **more}), (3, 12, 12))


@pytest.fixture
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (N, 3, 12, 12)).astype(np.uint8)
    labels = np.where(np.arange(N) % 4 == 0, -1, np.arange(N) % CLASSES)
    return Split("train", ArrayData(torch.from_numpy(images)), labels)


def images_and_labels(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(n, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return x, torch.where(torch.arange(n) % 2 == 0, torch.arange(n) % CLASSES, -1)


def gradients(module: ViewTraining, of: torch.Tensor) -> dict[str, torch.Tensor]:
    module.zero_grad()
    of.backward()
    return {k: p.grad.clone() for k, p in module.named_parameters() if p.grad is not None}


def plain_terms(
    module: ViewTraining, x: torch.Tensor, label: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two terms of equation 3, with nothing turned around or cut off."""
    seen = module.space(x)
    views = [seen[:, :1], seen[:, 1:]]
    q, k = (net.projector(net.encoder(v)) for net, v in zip(module.critics, views, strict=True))
    nce = (info_nce(q, k, 0.1) + info_nce(k, q, 0.1)) / 2
    said = 0 * nce
    for net, v in zip(module.classifiers, views, strict=False):
        known = label >= 0
        said = said + F.cross_entropy(net.projector(net.encoder(v))[known], label[known])
    return nce, said


@pytest.mark.parametrize("weight", [1.0, 0.25])
@pytest.mark.parametrize("method", GOALS)
def test_each_player_goes_down_what_the_equations_give_it(method: str, weight: float) -> None:
    goal, (x, label) = GOALS[method], images_and_labels()
    module, x = ViewTraining(recipe_of(method, label_weight=weight), CLASSES).double(), x.double()
    played = gradients(module, module.terms(x, label)["loss"])
    nce = gradients(module, plain_terms(module, x, label)[0])
    said = gradients(module, plain_terms(module, x, label)[1])
    for key, parameter in module.named_parameters():
        nothing = torch.zeros_like(parameter)
        sign = (-1.0 if goal.hides else 0.0) if key.startswith("space") else 1.0
        expected = sign * nce.get(key, nothing) + weight * said.get(key, nothing)
        torch.testing.assert_close(played.get(key, nothing), expected, atol=1e-12, rtol=1e-7)
    assert any(bool(g.any()) for key, g in played.items() if key.startswith("space"))
    assert goal.labels == any("classifiers" in key for key in played)


def test_images_without_a_label_are_in_the_contrast_alone() -> None:
    module, (x, label) = ViewTraining(recipe_of("semi-supervised"), CLASSES), images_and_labels()
    module.eval()
    whole = module.terms(x, label)
    alone = module.terms(x[label >= 0], label[label >= 0])
    torch.testing.assert_close(whole["label_loss"], alone["label_loss"])
    assert not torch.isclose(whole["i_nce"], alone["i_nce"])
    none = module.terms(x, torch.full_like(label, -1))
    assert float(none["label_loss"].detach()) == 0 and none["loss"].isfinite()


@pytest.mark.parametrize(("size", "labelled", "rest"), [(16, 100, 900), (16, 5, 900), (16, 90, 3)])
def test_half_of_a_batch_has_labels_and_no_image_is_in_it_twice(
    size: int, labelled: int, rest: int
) -> None:
    rows = np.arange(1000, 1000 + labelled + rest)
    z = np.full(3000, -1)
    z[np.random.default_rng(0).permutation(rows)[:labelled]] = 1
    with_label, without = parts_of_batch(size, labelled, rest)
    assert with_label + without == size

    def batches(rank: int = 0, world: int = 1, number: int = 0) -> list[np.ndarray]:
        epoch = Epoch(rows, 7, size // world, 3, number, rank, world, z)
        return list(HALF_LABELLED.batches(epoch))

    for batch in batches():
        assert len(set(batch)) == size and set(batch) <= set(rows)
        assert (z[batch] >= 0).sum() == with_label
    assert not np.array_equal(batches()[0], batches(number=1)[0])
    for whole, *parts in zip(batches(), batches(0, 2), batches(1, 2), strict=True):
        assert {len(part) for part in parts} == {size // 2}
        assert set(np.concatenate(parts)) == set(whole)
        assert abs(np.diff([(z[part] >= 0).sum() for part in parts])[0]) <= 1
    seen = [set(b) for b in LABELLED_ALONE.batches(Epoch(rows, 3, min(4, labelled), 0, z=z))]
    assert all(len(b) == 4 and (z[list(b)] >= 0).all() for b in seen)


def test_few_labels_are_of_all_classes_and_those_of_the_images() -> None:
    labels = np.repeat([0, 1, 2, -1], [50, 30, 20, 100])
    kept = few_labels(labels, 10, np.random.default_rng(0))
    assert (kept[kept >= 0] == labels[kept >= 0]).all()
    assert np.bincount(kept[kept >= 0]).tolist() == [5, 3, 2]


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(
    split: Split, tmp_path: Path
) -> None:
    recipe = recipe_of("semi-supervised")
    runs = [ViewRun(tmp_path / name) for name in ("whole", "cut")]
    whole = learn(recipe, split, runs[0], QUIET)
    learn(recipe.model_copy(update={"epochs": 1}), split, runs[1], QUIET)
    resumed = learn(recipe, split, runs[1], QUIET)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    columns = [list(csv.DictReader(r.metrics_file.open())) for r in runs]
    for a, b in zip(*columns, strict=True):
        assert {k: v for k, v in a.items() if "seconds" not in k and "second" not in k} == {
            k: v for k, v in b.items() if "seconds" not in k and "second" not in k
        }
    again = learn(recipe, split, runs[1], QUIET)  # nothing left to do
    assert torch.equal(again.space.generator.blocks[0].bias, whole.space.generator.blocks[0].bias)
    assert "critics.0.encoder.stage1.0.weight" in load_weights(runs[0].last_checkpoint())


@pytest.mark.parametrize("method", GOALS)
def test_every_goal_trains_its_generator(method: str, split: Split, tmp_path: Path) -> None:
    module = learn(recipe_of(method, epochs=2), split, ViewRun(tmp_path), QUIET)
    x = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    space = module.space.eval()
    assert (space.generator(space.before(x)) - space.before(x)).abs().mean() > 1e-3
    torch.testing.assert_close(space.inverse(space(x)), x, atol=1e-5, rtol=1e-5)


def test_both_readings_of_the_learning_rates_reach_the_optimiser() -> None:
    own = {"networks": {"projector": [8, 5]}, "generator": {}}
    for method, rates, expected in [
        ("unsupervised", None, [6e-4, 2e-4]),
        ("unsupervised", "numbers", [2e-4, 6e-4]),
        ("semi-supervised", None, [6e-4, 6e-4]),
        ("semi-supervised", "text", [6e-4, 2e-4]),
    ]:
        module = ViewTraining(recipe_of(method, **own, rates=rates), CLASSES)
        groups = module.configure_optimizers().param_groups
        assert [group["lr"] for group in groups] == expected
        assert {id(p) for p in groups[0]["params"]} == {id(p) for p in module.space.parameters()}
        assert sum(len(g["params"]) for g in groups) == len(list(module.parameters()))


def collapsed(kind: str) -> ViewTraining:
    """A generator whose last channel has one value but for a few pixels, or that cannot be undone
    in float32."""
    module = ViewTraining(recipe_of("unsupervised"))
    with torch.no_grad():
        block = module.space.generator.blocks[0]  # keeps the first channel
        if kind == "spread":
            block.weight.fill_(1.0)
            block.bias.fill_(-0.98)
            block.weight_out[:2].fill_(1e5)
        else:
            block.bias_out[0] = 1e8
            block.weight_out[0].fill_(1e7)
    return module


@pytest.mark.parametrize(("kind", "told"), [("spread", "collapsed"), ("inverse", "undone")])
def test_the_alarm_watches_the_generator(kind: str, told: str, split: Split) -> None:
    module = collapsed(kind)
    x = split.data.read(np.arange(N)) / 255
    healthy = measured(ViewTraining(recipe_of("unsupervised")).space, x)
    assert diagnose_generator(healthy["channel_spread"], healthy["inverse_error"]) is None
    assert healthy["log_volume"] == 0 and healthy["inverse_error"] < 1e-5
    found = measured(module.space, x)
    assert told in str(diagnose_generator(found["channel_spread"], found["inverse_error"]))
    for alarms in (True, False):
        watching = GeneratorMeasures(split, 0, alarms=alarms)
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
        if alarms:
            with pytest.raises(RunStopped, match=told):
                watching.on_train_epoch_end(trainer, module)
        else:
            watching.on_train_epoch_end(trainer, module)
        assert watching.latest == pytest.approx(found, rel=0.2)
    assert "not finite" in str(diagnose_generator(float("nan"), 0.0))


def test_a_loss_that_is_no_number_stops_the_training(split: Split, tmp_path: Path) -> None:
    wild = recipe_of("unsupervised", generator={"lr": 1000.0}, networks={"lr": 1000.0})
    with pytest.raises(RunStopped, match=r"(generator|networks)\.lr|generator\.lr"):
        learn(wild.model_copy(update={"epochs": 30}), split, ViewRun(tmp_path), QUIET)


def step_of(devices: int, rank: int | None = None) -> dict[str, Any]:
    """Terms and gradients of a step: of one process, or of one of two on its half. Of the first
    half four images have labels, of the second one."""
    module = ViewTraining(recipe_of("semi-supervised", devices=devices), CLASSES).double()
    x, label = images_and_labels()
    label[9:] = -1
    wrapped: Any = Terms(module)
    if rank is not None:
        wrapped = DistributedDataParallel(wrapped)
        x, label = x[8 * rank : 8 * rank + 8], label[8 * rank : 8 * rank + 8]
    terms = wrapped(x.double(), label)
    terms["loss"].backward()
    told = {name: float(term.detach()) for name, term in terms.items()}
    return {"terms": told, **{k: p.grad for k, p in module.named_parameters()}}


class Terms(torch.nn.Module):
    def __init__(self, module: ViewTraining) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.module.terms(x, label)


def one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save(step_of(2, rank), f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)  # the tear-down of the communication's threads now and then aborts the process


def test_two_processes_with_different_labels_equal_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_rank, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    whole = step_of(1)
    for name, value in whole["terms"].items():
        assert np.mean([part["terms"][name] for part in parts]) == pytest.approx(value, rel=1e-9)
    for key, value in whole.items():
        if key != "terms":
            torch.testing.assert_close(parts[0][key], value, atol=1e-10, rtol=1e-7)
