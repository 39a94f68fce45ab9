"""Views of several networks, and keys out of a memory: what cmc and instdis are made of."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from viewfinder.commands.embed import embed
from viewfinder.commands.pretrain import pretrain
from viewfinder.core.errors import UserError
from viewfinder.data.batch import Batch
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.frozen_features import extract
from viewfinder.recipes.check import check_data
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.runs.checkpoint import load_weights
from viewfinder.runs.results import read_results
from viewfinder.runs.run import Run, load_encoder
from viewfinder.training.fit import fit, network

N = 40
WORDS = [
    "encoder.widths=[4,6]",
    "head.projector=[8,5]",
    "negatives.size=16",
    "batch_size=8",
    "epochs=3",
    "logger=none",
    "accelerator=cpu",
]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (N, 3, 16, 16)).astype(np.uint8)
    return Split("train", ArrayData(torch.from_numpy(images)), np.arange(N) % 2)


def recipe_of(method: str, *words: str) -> Recipe:
    return complete(build(method, parse_overrides([*WORDS, *words])), (3, 16, 16))


def batch_of(split: Split, rows: list[int]) -> Batch:
    index = np.array(rows)
    return Batch(split.data.read(index), torch.from_numpy(index))


def stepped(module: Any, batch: Batch) -> torch.Tensor:
    """The loss of a step outside the engine, with its gradients."""
    module.log = lambda *args, **kwargs: None
    module.trainer = L.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)
    loss: torch.Tensor = module.training_step(batch, 0)["loss"]
    loss.backward()
    return loss


def test_both_networks_of_cmc_learn_and_remember(split: Split) -> None:
    module: Any = network(recipe_of("cmc"), split)
    assert {name: domain.channels for name, domain in module.domains.items()} == {
        "first": 1,
        "second": 2,
    }
    first = [next(net.encoder.parameters()) for net in module.online.values()]
    assert [weight.shape[1] for weight in first] == [1, 2]
    before = {name: bank.table.clone() for name, bank in module.negatives.items()}
    rows = [3, 5, 11, 30]
    stepped(module, batch_of(split, rows))
    for name, net in module.online.items():
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.encoder.parameters())
        changed = (module.negatives[name].table != before[name]).any(dim=1)
        assert changed.nonzero()[:, 0].tolist() == rows
        lengths = module.negatives[name].table[rows].norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(4))


def test_each_network_of_cmc_is_compared_with_the_memory_of_the_other(split: Split) -> None:
    """With rows of one bank replaced, the gradient of the other network alone changes."""

    def gradients(moved: str | None) -> dict[str, torch.Tensor]:
        module: Any = network(recipe_of("cmc"), split)
        if moved is not None:
            module.negatives[moved].table.copy_(torch.eye(5).repeat(8, 1))
        stepped(module, batch_of(split, [0, 1, 2, 3]))
        return {name: next(net.encoder.parameters()).grad for name, net in module.online.items()}

    usual, moved = gradients(None), gradients("first")
    assert torch.equal(usual["first"], moved["first"])
    assert not torch.equal(usual["second"], moved["second"])


def test_an_evaluation_joins_the_features_of_both_networks(split: Split, tmp_path: Path) -> None:
    recipe, run = recipe_of("cmc", "epochs=1"), Run(tmp_path)
    module = fit(recipe, split, run, QUIET, "")
    run.recipe_file.write_text(recipe.to_yaml())
    assert {f"negatives.{name}.table" for name in ("first", "second")} <= set(
        load_weights(run.last_checkpoint())  # type: ignore[arg-type]
    )
    encoder, _, _ = load_encoder(run)
    view = recipe.view_maker().frozen
    features = extract(encoder, split.data, view)
    assert features.shape == (N, 6 + 6)
    parts = view(split.data.read(np.arange(N)))
    module.eval()
    apart = [net.encoder(parts[name]) for name, net in module.online.items()]
    torch.testing.assert_close(features, torch.cat(apart, dim=1))


def test_every_baseline_of_two_networks_is_scored(tmp_path: Path) -> None:
    """The supervised baseline sees whole images, the others what the two networks see."""
    words = [*WORDS, "data=shapes", "data.limit=80", "data.size=16", "epochs=1"]
    words += ["evaluation.protocols=[knn]"]
    run = pretrain(build("cmc", parse_overrides(words)), tmp_path / "run")
    found = [one.features for one in read_results(run.results_file)]
    assert found == ["trained", "untrained", "raw pixels", "supervised"]
    assert run.report.exists()


def test_embed_writes_the_joined_features(tmp_path: Path) -> None:
    words = [*WORDS, "data=shapes", "data.limit=40", "data.size=16", "epochs=1"]
    words += ["evaluation.baselines=false", "evaluation.protocols=[knn]"]
    run = pretrain(build("cmc", parse_overrides(words)), tmp_path / "run")
    out = tmp_path / "z.parquet"
    embed(run, "shapes", out, {"data": {"limit": 20, "size": 16}}, split="test")
    table = pq.read_table(out)
    assert table.num_rows == 20
    assert len(table["vector"][0]) == 12


@pytest.mark.parametrize("method", ["cmc", "instdis", "pirl"])
def test_banks_are_saved_and_a_resumed_run_is_the_uninterrupted_one(
    method: str, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(method)
    whole, broken = Run(tmp_path / "whole"), Run(tmp_path / "broken")
    fit(recipe, split, whole, QUIET, "")

    class StopError(Exception):
        pass

    class Stops(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *rest: Any) -> None:
            if trainer.global_step == 12:  # the third step of the third epoch
                raise StopError

    with pytest.raises(StopError):
        fit(recipe, split, broken, QUIET, "", [Stops()])
    fit(recipe, split, broken, QUIET, "")
    first, second = (load_weights(run.last_checkpoint()) for run in (whole, broken))  # type: ignore[arg-type]
    assert first.keys() == second.keys()
    assert any(name.endswith(".table") for name in first)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert whole.metrics_file.read_text().count("\n") == 4


def test_the_positive_of_instdis_is_the_images_own_row(split: Split) -> None:
    """One view per image; where the rows are the outputs themselves the loss is the least it is."""
    recipe = recipe_of("instdis", "negatives.size=null")
    assert recipe.view_maker().count == 1
    module: Any = network(recipe, split)
    batch = batch_of(split, list(range(N)))
    (view,) = module.views(batch, 0)
    with torch.no_grad():
        net = module.online["main"]
        z = torch.nn.functional.normalize(net.projector(net.encoder(view)), dim=1)
    bank = module.negatives["main"]
    bank.table.copy_(z)
    loss = stepped(module, batch)
    scores = z @ z.T / recipe.objective.options().temperature
    expected = -scores.log_softmax(dim=1).diagonal().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    # after the step a row is the old one and the output, half and half: here the same
    torch.testing.assert_close(bank.table, z, rtol=1e-4, atol=1e-5)


def test_the_row_of_instdis_moves_half_way_to_the_output(split: Split) -> None:
    module: Any = network(recipe_of("instdis"), split)
    batch = batch_of(split, [4, 9, 2])
    old = module.negatives["main"].table.clone()
    (view,) = module.views(batch, 0)
    net = module.online["main"]
    with torch.no_grad():
        z = torch.nn.functional.normalize(net.projector(net.encoder(view)), dim=1)
    stepped(module, batch)
    half = torch.nn.functional.normalize((old[[4, 9, 2]] + z) / 2, dim=1)
    torch.testing.assert_close(module.negatives["main"].table[[4, 9, 2]], half)
    untouched = [i for i in range(N) if i not in (4, 9, 2)]
    assert torch.equal(module.negatives["main"].table[untouched], old[untouched])


def test_the_queue_of_moco_is_relabelled_with_new_clusters(split: Split) -> None:
    module: Any = network(recipe_of("moco", "positives=kmeans", "positives.k=4"), split)
    queue = module.negatives["main"]
    index = torch.tensor([7, 0, 31])
    queue.update(torch.ones(3, 5), index, module.clusters[index])
    z = torch.arange(N).flip(0) % 4
    module.renew_clusters(z)
    assert queue.cluster[:3].tolist() == z[index].tolist()
    assert (queue.cluster[3:] == -1).all()


def test_the_image_and_the_jigsaw_of_pirl_are_compared_with_the_images_memory(split: Split) -> None:
    module: Any = network(recipe_of("pirl"), split)
    assert module.pairs == [(0, 0), (1, 0)]
    assert not list(module.negatives["jigsaw"].buffers())  # nothing is remembered of jigsaws
    rows = [4, 9, 2]
    old = module.negatives["main"].table.clone()
    batch = batch_of(split, rows)
    view, _ = module.views(batch, 0)
    net = copy.deepcopy(module.online["main"])
    with torch.no_grad():
        z = torch.nn.functional.normalize(net.projector(net.encoder(view)), dim=1)
    stepped(module, batch)
    half = torch.nn.functional.normalize((old[rows] + z) / 2, dim=1)
    torch.testing.assert_close(module.negatives["main"].table[rows], half)
    for net in module.online.values():
        assert all(p.grad is not None for p in net.projector.parameters())


def test_the_jigsaws_weight_is_its_share_of_the_loss(split: Split) -> None:
    """The loss is linear in it; at 0 and at 1 one head alone has a gradient."""
    found = {}
    for weight in (0.0, 0.25, 1.0):
        module: Any = network(recipe_of("pirl", f"views.split=jigsaw:{weight}"), split)
        loss = stepped(module, batch_of(split, [0, 1, 2, 3])).detach()
        heads = [
            max(p.grad.abs().max().item() for p in net.projector.parameters())
            for net in module.online.values()
        ]
        encoder = next(module.online["main"].encoder.parameters()).grad
        found[weight] = loss, encoder, [size > 0 for size in heads]
    assert [found[w][2] for w in found] == [[True, False], [True, True], [False, True]]
    for part in range(2):
        mixed = 0.75 * found[0.0][part] + 0.25 * found[1.0][part]
        torch.testing.assert_close(found[0.25][part], mixed, rtol=1e-4, atol=1e-6)


def test_without_its_jigsaws_weight_pirl_is_instance_discrimination(split: Split) -> None:
    words = ["objective=info-nce", "objective.temperature=0.07"]
    pirl: Any = network(recipe_of("pirl", "views.split=jigsaw:0", *words), split)
    instdis: Any = network(recipe_of("instdis"), split)
    first, second = (stepped(module, batch_of(split, [5, 6, 7])) for module in (pirl, instdis))
    torch.testing.assert_close(first, second)


def test_an_evaluation_of_pirl_has_the_encoder_of_whole_images_alone(
    split: Split, tmp_path: Path
) -> None:
    recipe, run = recipe_of("pirl", "epochs=1"), Run(tmp_path)
    module = fit(recipe, split, run, QUIET, "")
    run.recipe_file.write_text(recipe.to_yaml())
    weights = load_weights(run.last_checkpoint())  # type: ignore[arg-type]
    assert not [name for name in weights if name.startswith("networks.jigsaw.encoder")]
    encoder, _, _ = load_encoder(run)
    view = recipe.view_maker().frozen
    features = extract(encoder, split.data, view)
    assert features.shape == (N, 6)
    module.eval()
    main = module.online["main"].encoder(view(split.data.read(np.arange(N)))["main"])
    torch.testing.assert_close(features, main)


def test_keys_of_moco_are_those_of_views_and_its_jigsaw_queries_them_too(split: Split) -> None:
    words = ["views.split=jigsaw:0.3", "views.count=2", "objective.pairs=to-last"]
    module: Any = network(recipe_of("moco", *words), split)
    assert module.pairs == [(0, 1), (2, 1)]
    assert module.keys == [1]
    stepped(module, batch_of(split, [1, 2, 3]))
    assert module.negatives["main"].index[:3].tolist() == [1, 2, 3]
    assert all(p.grad is not None for p in module.online["jigsaw"].projector.parameters())
    with pytest.raises(UserError, match=r"compares nothing with view 3 of 3.*pairs=to-last"):
        check_data(recipe_of("moco", *words[:2]), split)
