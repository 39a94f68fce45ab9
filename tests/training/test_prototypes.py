"""Prototypes in a run: schedules reach the loss, usage is counted, one taker of all stops it."""

from __future__ import annotations

import csv
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from viewfinder.core.errors import RunStopped, UserError
from viewfinder.data.source import Attributes, Split
from viewfinder.data.stored import ArrayData
from viewfinder.objectives import OBJECTIVES, tag_overlap
from viewfinder.objectives.carl import CARLOptions, weight_at
from viewfinder.objectives.contract import Progress
from viewfinder.positives.sampler import SAMPLERS
from viewfinder.positives.tags import TagsOptions, tags_of
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.runs.run import Run
from viewfinder.training.fit import fit, network
from viewfinder.training.loader import EpochBatches
from viewfinder.training.usage import effective_number

WORDS = ["encoder.widths=[4,8]", "batch_size=16", "epochs=3", "logger=none", "accelerator=cpu"]
QUIET = Console(quiet=True)
PAIRS = SAMPLERS["clusters"]


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)
    values = np.stack([np.arange(48) % 3, rng.integers(0, 2, 48), rng.integers(-1, 2, 48)], axis=1)
    images = rng.integers(0, 256, (48, 3, 16, 16)).astype(np.uint8)
    table = Attributes(values, ["colour", "new", "worn"], {"colour": ["red", "green", "blue"]})
    return Split("train", ArrayData(torch.from_numpy(images)), attributes=table)


def recipe_of(method: str, *words: str) -> Recipe:
    return complete(build(method, parse_overrides([*WORDS, *words])), (3, 16, 16))


def rows(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_lambda_of_carl_falls_from_b_to_a_as_the_paper_says() -> None:
    paper = CARLOptions(weight=4.0, final_weight=1.5, decay_epochs=100)  # CIFAR, 150 epochs
    at = [weight_at(Progress(epoch, 150), paper) for epoch in (0, 50, 99, 100, 149)]
    assert at == pytest.approx([4.0, 2.75, 1.525, 1.5, 1.5])
    unsaid = paper.model_copy(update={"decay_epochs": None})
    assert weight_at(Progress(50, 150), unsaid) == pytest.approx(2.75)
    assert weight_at(Progress(50, 150), CARLOptions(weight=2.0)) == 2.0


def test_the_weight_and_the_terms_of_an_epoch_are_logged(split: Split, tmp_path: Path) -> None:
    run = Run(tmp_path)
    fit(recipe_of("carl", "objective.decay_epochs=2"), split, run, QUIET, "")
    logged = rows(run.metrics_file)
    assert [row["weight"] for row in logged] == pytest.approx([4.0, 2.75, 1.5])
    for row in logged:
        expected = row["consistency"] + row["weight"] * row["kl"]
        assert row["loss"] == pytest.approx(expected, rel=1e-5)
        assert -1e-5 <= row["kl"] <= math.log(100) + 1e-5


@pytest.mark.parametrize("method", ["carl", "swav", "dino"])
def test_usage_is_a_distribution_over_the_prototypes(
    method: str, split: Split, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    fit(recipe_of(method, "objective.prototypes=6"), split, run, QUIET, "")
    usage = rows(run.usage_file)
    assert [row["epoch"] for row in usage] == [1, 2, 3]
    assert all(sum(row.values()) - row["epoch"] == pytest.approx(1, abs=1e-4) for row in usage)
    assert len(usage[0]) == 7


def test_all_in_one_prototype_stops_the_run(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carl = importlib.import_module("viewfinder.objectives.carl")
    sure, even = torch.eye(100)[3], torch.full((100,), 0.01)
    monkeypatch.setattr(carl, "assignments", lambda logits: {"usage": sure, "assigned": sure})
    with pytest.raises(RunStopped, match=r"one of 100 prototypes.*objective.weight"):
        fit(recipe_of("carl"), split, Run(tmp_path / "sure"), QUIET, "")
    # all win by next to nothing, as at the start of a short run: kl is 0, and nothing has collapsed
    monkeypatch.setattr(carl, "assignments", lambda logits: {"usage": sure, "assigned": even})
    run = Run(tmp_path / "even")
    fit(recipe_of("carl"), split, run, QUIET, "")
    assert [row["prototype 3"] for row in rows(run.usage_file)] == [1.0] * 3


WITH_PROTOTYPES = [n for n, row in OBJECTIVES.items() if "prototypes" in row.options.model_fields]


@pytest.mark.parametrize("name", WITH_PROTOTYPES)
def test_who_has_prototypes_says_how_sure_they_are_assigned(name: str) -> None:
    """Logits that are all but equal have one winner and an even mean; sure ones one of both."""
    row = OBJECTIVES[name]
    options = row.options(prototypes=8)
    state = row.state(options, 8, ()) if row.state else None
    if name == "swav":  # what it is given are projections
        with torch.no_grad():
            state.scores.prototypes.copy_(torch.eye(8))
    for size, effective in ((1e-4, 8.0), (50.0, 1.0)):
        logits = torch.zeros(5, 8)
        logits[:, 2] = size
        if name == "swav":
            logits = torch.ones(5, 8) if size < 1 else torch.eye(8)[[2] * 5]
            if size < 1:
                logits[:, 2] += size
            options = options.model_copy(update={"temperature": 0.01})
        views = [logits] * row.views[0]
        terms = row(views, views, state=state, options=options)
        assert effective_number(terms["usage"]) == pytest.approx(1)
        assert effective_number(terms["assigned"]) == pytest.approx(effective, abs=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda p: sum(p) > 0.01))
def test_effective_number_is_between_one_and_all(shares: list[float]) -> None:
    number = effective_number(torch.tensor(shares))
    assert 1 - 1e-6 <= number <= len(shares) + 1e-6
    assert effective_number(torch.ones(len(shares))) == pytest.approx(len(shares))


def test_pcl_warms_up_and_then_has_prototypes(split: Split, tmp_path: Path) -> None:
    run = Run(tmp_path)
    recipe = recipe_of("pcl", "positives.k=[4,3]", "negatives.size=40", "positives.start=2")
    module = fit(recipe, split, run, QUIET, "")
    logged = rows(run.metrics_file)
    assert logged[0]["prototypes"] == logged[1]["prototypes"] == 0
    assert logged[2]["prototypes"] > 0.1
    assert module.clusters is not None
    assert module.clusters.shape == (48, 2)
    assert set(module.clusters[:, 1].tolist()) == {0, 1, 2}
    density = module.state_of(0).get_buffer("density0")
    assert density[density > 0].mean().item() == pytest.approx(0.2, rel=1e-4)
    for m in range(2):  # each image is in the cluster whose centroid is nearest
        centroids = module.state_of(0).get_buffer(f"centroids{m}")
        assert (centroids.norm(dim=1) <= 1 + 1e-5).all()


def test_small_views_are_small_and_predict_only(split: Split) -> None:
    module = network(recipe_of("swav", "views.small_count=3"), split)
    from viewfinder.data.batch import Batch

    batch = Batch(split.data.read(np.arange(4)), torch.arange(4))
    views = module.views(batch, 0)
    assert [v.shape[-1] for v in views] == [16, 16, 8, 8, 8]
    seen = module.outputs(views, torch.Generator())
    target = module.target(views, module.view_networks, module.keys, seen)
    assert (len(seen.compared), len(target)) == (5, 2)
    assert not list(module.target.parameters())


@pytest.mark.parametrize("encoder", ["mlp", "vit_tiny_patch16_224"])
def test_small_views_need_an_encoder_of_any_size(split: Split, encoder: str) -> None:
    words = [word for word in WORDS if not word.startswith("encoder")]
    made = build("swav", parse_overrides([*words, f"encoder={encoder}"]))
    recipe = complete(made, (3, 16, 16))
    with pytest.raises(UserError, match=r"views.small_count=2.*3x8x8.*views.small_count=0"):
        network(recipe, split)


def test_pairs_come_from_one_cluster_and_clusters_by_size() -> None:
    z = np.array([0] * 30 + [1] * 10 + [2])
    rows = np.arange(1, 41)  # one of cluster 0 is left out, and the single member of cluster 2
    batches = EpochBatches(rows, 20, seed=0, sampler=PAIRS, z=lambda: z)
    drawn = np.concatenate([_pairs(batches, epoch) for epoch in range(200)])
    assert (z[drawn[:, 0]] == z[drawn[:, 1]]).all()
    assert np.isin(drawn, rows).all()
    assert (z[drawn[:, 0]] == 1).mean() == pytest.approx(10 / 40, abs=0.03)
    same = drawn[:, 0] == drawn[:, 1]  # with probability 1 / size
    assert same[z[drawn[:, 0]] == 1].mean() == pytest.approx(1 / 10, abs=0.03)
    assert np.array_equal(_pairs(batches, 3), _pairs(batches, 3))
    other = EpochBatches(rows, 20, seed=0, rank=1, world=2, sampler=PAIRS, z=lambda: z)
    assert not np.array_equal(_pairs(batches, 3)[: len(_pairs(other, 3))], _pairs(other, 3))
    with pytest.raises(UserError, match="must be even"):
        EpochBatches(rows, 15, seed=0, sampler=PAIRS, z=lambda: z)


def _pairs(batches: EpochBatches, epoch: int) -> np.ndarray:
    batches.set_epoch(epoch)
    halves = [np.array(batch).reshape(2, -1).T for batch in batches]
    return np.concatenate(halves)


def test_views_of_pairs_are_of_two_images(split: Split) -> None:
    from viewfinder.data.batch import Batch

    plain = ["positives=attributes", "objective=ci-infonce"]
    plain += ["views.preset=none"]  # the crop of the row goes with the row's preset
    images = split.data.read(np.arange(16))
    batch = Batch(images, torch.arange(16))
    shown = images.float() / 255 * 2 - 1
    module = network(recipe_of("ci-infonce-batch", *plain, "positives.sampler=clusters"), split)
    first, second = module.views(batch, 0)
    torch.testing.assert_close(first, shown[:8])
    torch.testing.assert_close(second, shown[8:])
    module = network(recipe_of("ci-infonce-batch", *plain), split)
    first, second = module.views(batch, 0)
    torch.testing.assert_close(first, shown)
    partner = torch.cdist(second.flatten(1), shown.flatten(1)).argmin(dim=1)
    assert module.clusters is not None
    assert torch.equal(module.clusters[:16], module.clusters[partner])
    assert sorted(partner.tolist()) == list(range(16))


def test_tags_are_the_values_that_an_image_has(split: Split) -> None:
    found = tags_of(split, TagsOptions())
    assert found.names == ("colour=red", "colour=green", "colour=blue", "new", "worn")
    table = split.attributes
    assert table is not None
    assert np.array_equal(found.matrix[:, 4], table.values[:, 2] == 1)  # -1 is no tag
    few = tags_of(split, TagsOptions(columns=["worn", "new"]))
    assert few.names == ("worn", "new")
    assert "have no tag" in few.notes[0]
    with pytest.raises(UserError, match="Did you mean 'colour'"):
        tags_of(split, TagsOptions(columns=["color"]))


def test_shared_tags_are_the_weights_of_positives(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    from viewfinder.data.batch import Batch
    from viewfinder.training.module import Pretraining

    given = {}
    file = importlib.import_module("viewfinder.objectives.supcon")  # the package has its function
    supcon = file.supcon
    monkeypatch.setattr(file, "supcon", lambda *a, **k: given.update(k) or supcon(*a, **k))
    monkeypatch.setattr(Pretraining, "log", lambda *args, **more: None)
    module = network(recipe_of("ci-infonce-batch", "positives=tags"), split)
    index = torch.tensor([5, 1, 7, 9])
    module.training_step(Batch(split.data.read(index.numpy()), index), 0)
    matrix = torch.from_numpy(tags_of(split, TagsOptions()).matrix[index.numpy()])
    assert torch.equal(given["weights"], tag_overlap(matrix))
