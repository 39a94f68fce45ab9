"""``viewfinder clusters --kmeans RUN`` clusters what a training with k-means would cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from viewfinder.commands.clusters import SHOWN, choose, show
from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.frozen_features import extract
from viewfinder.networks.targets import Momentum
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.kmeans import kmeans
from viewfinder.positives.sweep import sweep
from viewfinder.recipes.recipe import build, complete, parse_overrides
from viewfinder.runs.run import Run
from viewfinder.training.fit import fit

pytest.importorskip("faiss")

QUIET = Console(quiet=True)
SMALL = ["encoder.widths=[4,8]", "batch_size=16", "epochs=1", "logger=none", "accelerator=cpu"]


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16)).astype(np.uint8)
    return Split("train", ArrayData(torch.from_numpy(images)), np.arange(40) % 4)


@pytest.mark.parametrize("on", ["projections", "features", None])
@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("simclr", []),
        ("moco", ["negatives.size=32"]),  # with a momentum network
        ("supcon", []),  # with a Z of its own
        ("instdis", ["negatives.size=8"]),  # with a memory of all images
        ("pcl", ["negatives.size=32", "positives.k=[4,3]", "positives.start=0"]),
    ],
)
def test_positives_on_is_what_is_clustered(
    method: str, words: list[str], on: str | None, split: Split, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    recipe = complete(build(method, parse_overrides([*SMALL, *words])), (3, 16, 16))
    run.recipe_file.write_text(recipe.to_yaml())
    module = fit(recipe, split, run, QUIET, "").eval()

    encoder, projector = module.encoder, module.online["main"].projector
    if isinstance(module.target, Momentum):
        encoder, projector, *_ = module.target.networks["main"]
    want = extract(encoder, split.data, recipe.view_maker().frozen)
    if on != "features":  # projections are the default, as in training
        with torch.no_grad():
            want = torch.nn.functional.normalize(projector(want))

    _, made = choose(
        split,
        attributes_file=None,
        hierarchy_file=None,
        kmeans_run=Run(tmp_path),
        z_file=None,
        settings={"nredo": 1} | ({} if on is None else {"on": on}),
        seed=0,
    )
    expected = kmeans(want.numpy(), 5, seed=0, nredo=1)
    np.testing.assert_array_equal(made(5).clusters, expected.clusters)
    np.testing.assert_allclose(
        made(5).centroids[0].vectors, expected.centroids[0].vectors, rtol=1e-4, atol=1e-5
    )


def test_a_run_without_a_checkpoint_is_named(split: Split, tmp_path: Path) -> None:
    recipe = complete(build("simclr", parse_overrides(SMALL)), (3, 16, 16))
    Run(tmp_path).recipe_file.write_text(recipe.to_yaml())
    with pytest.raises(UserError, match=r"no checkpoint yet.*--resume"):
        choose(
            split,
            attributes_file=None,
            hierarchy_file=None,
            kmeans_run=Run(tmp_path),
            z_file=None,
            settings={},
            seed=0,
        )


def test_the_terminal_has_the_columns_of_the_guide_and_every_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    guide = Path(__file__).parents[2] / "docs" / "use-your-tags.md"
    table = next(line for line in guide.read_text().splitlines() if "top_k  clusters" in line)
    assert set(table.split()) <= {"top_k", *SHOWN}

    labels = np.random.default_rng(0).integers(0, 5, 100_000)
    made = {k: Assignment(np.arange(100_000) // (100_000 // k)) for k in (2, 1000, 50_000)}
    found = sweep("top_k", [*made], made.__getitem__, labels)
    show(found, "bits")
    said = capsys.readouterr().out
    heading = next(line for line in said.splitlines() if "clusters" in line and "top_k " in line)
    assert heading.split() == ["top_k", *SHOWN]  # none is folded or cut
    assert found.recommendation.remarks
    for told in (found.recommendation.rule, *found.recommendation.remarks):
        assert told in said


def test_images_without_a_line_are_counted_beside_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ArrayData(torch.zeros(9, 3, 8, 8, dtype=torch.uint8))
    table = tmp_path / "tags.csv"
    table.write_text("index,round\n" + "".join(f"{i},{i % 2}\n" for i in range(6)))
    found, make = choose(
        Split("train", images),
        attributes_file=str(table),
        hierarchy_file=None,
        kmeans_run=None,
        z_file=None,
        settings={},
        seed=0,
    )
    assert [row.n for row in found.rows] == [6]
    assert len(set(make(1).clusters.tolist())) == 2 + 3
    said = capsys.readouterr().out
    assert "of the 6 images with a line" in said
    assert "the 3 others" in said
