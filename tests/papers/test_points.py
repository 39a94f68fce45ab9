"""Points in the one loop: recipes, runs, probes, reports, and what is refused of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from viewfinder.commands.embed import embed
from viewfinder.commands.evaluate import evaluate
from viewfinder.commands.pretrain import pretrain
from viewfinder.core.errors import RunStopped, UserError
from viewfinder.data.domain import Domain
from viewfinder.data.source import Split
from viewfinder.data.sources.table import open_source
from viewfinder.data.stored import ArrayData
from viewfinder.recipes.check import check_parts
from viewfinder.recipes.recipe import Recipe, build, complete, parse_overrides
from viewfinder.runs.checkpoint import load_weights
from viewfinder.runs.run import Run, load_encoder
from viewfinder.training.fit import fit, network

QUIET = Console(quiet=True)
WORDS = [
    "data=spirals:train=64,test=40",
    "views={steps: [{noise: 0.4}]}",
    "encoder=mlp",
    "encoder.widths=[8,2]",
    "encoder.last_activation=false",
    "head.projector=null",
    "objective=info-nce",
    "objective.similarity=dot",
    "batch_size=16",
    "epochs=2",
    "logger=none",
    "accelerator=cpu",
    "alarms=false",
]


def recipe_of(*words: str) -> Recipe:
    return complete(build("simclr", parse_overrides([*WORDS, *words])), (2,), "points")


@pytest.fixture(scope="module")
def split() -> Split:
    return open_source("spirals:train=64,test=40").train


def test_a_complete_recipe_knows_what_its_points_are(tmp_path: Path) -> None:
    recipe = recipe_of()
    assert recipe.domain == Domain("points", (2,))
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    assert build(file=file).plain() == recipe.plain()
    assert recipe.view_maker().domains == (Domain("points", (2,)),) * 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["views.crop_scale=[0.2,1]"], r"crop is for images, the data are points"),
        (["views.size=24"], r"views.size=24 is of images"),
        (["views.small_count=2"], r"views.small_count=2 is of images"),
        (["views.split=channels:1"], r"split=channels is for images"),
    ],
)
def test_what_has_no_meaning_for_points_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        recipe_of(*words)
    with pytest.raises(UserError, match="views=simclr are views of images; these data are points"):
        complete(build("simclr", parse_overrides(["encoder=mlp"])), (2,), "points")


def test_images_are_no_input_of_a_run_on_points(tmp_path: Path) -> None:
    run = Run(tmp_path)
    recipe = recipe_of("epochs=1")
    fit(recipe, open_source(recipe.data.source).train, run, QUIET, "")
    run.recipe_file.write_text(recipe.to_yaml())
    with pytest.raises(UserError, match=r"digits holds images of 1x8x8.*takes points of 2"):
        evaluate(run, None, "digits")
    with pytest.raises(UserError, match="digits holds images"):
        embed(run, "digits", tmp_path / "z.parquet")


def test_the_whole_command_scores_points_beside_themselves(tmp_path: Path) -> None:
    words = parse_overrides([*WORDS, "evaluation.protocols=[linear]"])
    run = pretrain(build("simclr", words), tmp_path)
    found = json.loads(run.results_file.read_text())
    assert [one["features"] for one in found] == [
        "trained",
        "untrained",
        "raw values",
        "supervised",
    ]
    assert "views of" not in found[0]["protocol"]["split"]
    page = run.report.read_text()
    assert "the data themselves, no encoder" in page
    evaluate(run, ["knn"], "spirals:train=80,test=30", baselines=True)
    out = tmp_path / "z.parquet"
    embed(run, "spirals:train=80,test=30", out)
    import pyarrow.parquet as pq

    assert pq.read_table(out).num_rows == 110


def test_without_a_projector_the_features_are_compared(split: Split, tmp_path: Path) -> None:
    module = network(recipe_of(), split)
    names = {name.split(".")[2] for name, _ in module.named_parameters()}
    assert names == {"encoder"}
    assert module.online["main"].dim == 2
    run = Run(tmp_path)
    recipe = recipe_of("target=momentum")
    trained = fit(recipe, split, run, QUIET, "")
    run.recipe_file.write_text(recipe.to_yaml())
    encoder, _, path = load_encoder(run)
    x = torch.tensor([[0.3, -0.2]])
    torch.testing.assert_close(encoder(x), trained.encoder(x))
    assert any(name.startswith("target.networks.main.0.") for name in load_weights(path))


def test_images_too_may_have_no_projector_but_equal_predictions() -> None:
    data = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    images = Split("train", ArrayData(data), np.arange(20) % 2)
    words = ["encoder.widths=[4,6]", "head.projector=[]", "batch_size=4", "accelerator=cpu"]
    recipe = complete(build("instdis", parse_overrides([*words, "negatives.size=8"])), (3, 8, 8))
    module: Any = network(recipe, images)
    assert module.negatives["main"].table.shape == (20, 6)
    bad = build("simsiam", parse_overrides([*words, "head.predictor=[4,5]"]))
    check_parts(bad)  # how wide the features are shows when the encoder is built
    with pytest.raises(UserError, match=r"head.predictor ends with 5 units.*features of 6"):
        network(complete(bad, (3, 8, 8)), images)


def test_the_gradient_is_limited_as_the_recipe_says(split: Split, tmp_path: Path) -> None:
    """One step of plain descent at rate 1: the step's length is that of the limited gradient."""
    plain = ["optimizer=sgd", "optimizer.momentum=0", "optimizer.weight_decay=0", "epochs=1"]
    plain += ["batch_size=64", "optimizer.lr=4", "schedule=constant", "objective.temperature=0.01"]
    lengths = []
    for clip in ("null", "0.25"):
        recipe = recipe_of(*plain, f"optimizer.clip={clip}")
        before = [p.detach().clone() for p in network(recipe, split).parameters()]
        module = fit(recipe, split, Run(tmp_path / clip), QUIET, "")
        change = [
            (p - q).detach().square().sum()
            for p, q in zip(module.parameters(), before, strict=True)
        ]
        lengths.append(math.sqrt(float(sum(change))))
    assert lengths[0] > 0.5
    assert lengths[1] == pytest.approx(0.25, rel=1e-3)


def test_without_alarms_collapse_is_measured_and_stops_nothing(tmp_path: Path) -> None:
    same = Split("train", ArrayData(torch.ones(64, 2), "points"), np.arange(64) % 2)
    still = "views={steps: [{noise: 0.0}]}"
    with pytest.raises(RunStopped, match="collapsed"):
        fit(recipe_of(still, "alarms=true"), same, Run(tmp_path / "a"), QUIET, "")
    fit(recipe_of(still), same, Run(tmp_path / "b"), QUIET, "")
    assert len(Run(tmp_path / "b").metrics_file.read_text().splitlines()) == 3
