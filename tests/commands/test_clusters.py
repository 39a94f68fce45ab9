"""``viewfinder clusters --kmeans RUN`` clusters what a training with k-means would cluster."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from viewfinder.commands.clusters import SHOWN, choose, clusters, show
from viewfinder.core.errors import UserError
from viewfinder.data.source import Split
from viewfinder.data.stored import ArrayData
from viewfinder.networks.frozen_features import extract
from viewfinder.networks.targets import Momentum
from viewfinder.positives.assignment import Assignment
from viewfinder.positives.informative import Column
from viewfinder.positives.kmeans import kmeans
from viewfinder.positives.sweep import Sweep, sweep
from viewfinder.recipes.recipe import build, complete, parse_overrides
from viewfinder.runs.opening import open_data
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

    _, made, _ = choose(
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

    labels = np.arange(100_000) // 20_000
    made = {k: Assignment(np.arange(100_000) // (100_000 // k)) for k in (2, 1000, 50_000)}
    found = sweep("top_k", [*made], made.__getitem__, labels)
    show(found, "bits")
    said = capsys.readouterr().out
    heading = next(line for line in said.splitlines() if "clusters" in line and "top_k " in line)
    assert heading.split() == ["top_k", *SHOWN]  # none is folded or cut
    assert found.recommendation.remarks and found.recommendation.value is not None
    for told in (found.recommendation.rule, *found.recommendation.remarks):
        assert told in said


def test_images_without_a_line_are_counted_beside_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ArrayData(torch.zeros(9, 3, 8, 8, dtype=torch.uint8))
    table = tmp_path / "tags.csv"
    table.write_text("index,round\n" + "".join(f"{i},{i % 2}\n" for i in range(6)))
    found, make, _ = choose(
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


def table_of(tmp_path: Path, labels: np.ndarray) -> Path:
    """Two columns that say something of the labels, a copy of them, and three of chance."""
    rng = np.random.default_rng(3)
    careless = rng.random(len(labels)) < 0.2
    columns = {
        "half": labels // 2,
        "careless": np.where(careless, rng.integers(0, 4, len(labels)), labels),
        "copied": [f"kind {c}" for c in labels],
        **{f"noise{j}": rng.integers(0, 2, len(labels)) for j in range(2)},
        "code": rng.integers(0, 40, len(labels)),
    }
    rows = zip(*(list(column) for column in columns.values()), strict=True)
    lines = [f"{i},{','.join(map(str, row))}" for i, row in enumerate(rows)]
    file = tmp_path / "table.csv"
    file.write_text("\n".join([f"index,{','.join(columns)}", *lines]))
    return file


def chosen(split: Split, file: Path) -> tuple[Sweep, Sequence[Column]]:
    found, _, columns = choose(
        split,
        attributes_file=str(file),
        hierarchy_file=None,
        kmeans_run=None,
        z_file=None,
        settings={},
        seed=0,
    )
    return found, columns


def test_columns_are_ranked_by_name_and_copies_of_the_label_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 400)
    split = Split("train", ArrayData(torch.zeros(400, 3, 4, 4, dtype=torch.uint8)), labels)
    found, columns = chosen(split, table_of(tmp_path, labels))
    assert columns[0].name == "copied"
    assert [c.name for c in columns if c.is_copy] == ["copied"]
    assert {c.name for c in columns if c.tells} == {"half", "careless"}
    said = capsys.readouterr().out
    assert "copied: the label under another name" in said
    assert "positives.columns=[careless" in said or "positives.columns=[half" in said
    assert "these say nothing of your labels (3 of 5 columns)" in " ".join(said.split())
    assert max(row.value for row in found.rows) == 1 + 4 + 2 + 40  # none of the copy's columns


def test_tags_that_say_nothing_are_said_to_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    lines = [f"{i},{','.join(map(str, rng.integers(0, 2, 8)))}" for i in range(1797)]
    head = f"index,{','.join(f'tag{j}' for j in range(8))}"
    Path("tags.csv").write_text("\n".join([head, *lines]))
    assert clusters("digits", attributes="tags.csv", out=Path("out")) is None
    said = " ".join(capsys.readouterr().out.split())
    assert "these tags tell nothing of your labels" in said
    assert "recommended:" not in said
    names = {p.name for p in Path("out").iterdir()}
    assert names >= {"clusters.csv", "columns.csv"} and "z.parquet" not in names
    assert clusters("digits", attributes="tags.csv", value=3, out=Path("out")) is not None


def test_without_labels_columns_are_compared_with_one_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 400)
    split = Split("train", ArrayData(torch.zeros(400, 3, 4, 4, dtype=torch.uint8)))
    _, columns = chosen(split, table_of(tmp_path, labels))
    assert columns[0].name == "code" and columns[0].information is None  # the most entropy
    said = capsys.readouterr().out
    assert "careless and copied largely say the same" in " ".join(said.split())
    assert "tell nothing" not in said


def test_the_neighbours_of_a_run_say_which_columns_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 60, (64, 8, 8, 3)).astype(np.uint8)
    bright = np.arange(64) % 2
    images[bright == 1] += 190
    np.savez(tmp_path / "set.npz", images=images)
    shuffled = np.random.default_rng(1).permutation(bright)
    rows = [f"{i},{bright[i]},{shuffled[i]}" for i in range(64)]
    (tmp_path / "tags.csv").write_text("\n".join(["index,bright,random", *rows]))
    spec = f"npz:{tmp_path / 'set.npz'}"
    recipe = complete(build("simclr", parse_overrides([*SMALL, f"data={spec}"])), (3, 8, 8))
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.recipe_file.write_text(recipe.to_yaml())
    fit(recipe, open_data(recipe.data, 0).train, run, QUIET, "")
    assert clusters(spec, attributes=str(tmp_path / "tags.csv"), run=run, out=tmp_path / "out")
    agreement = {
        row["column"]: float(row["neighbours"])
        for row in csv.DictReader((tmp_path / "out" / "columns.csv").open())
    }
    assert agreement["bright"] > 0.9
    assert abs(agreement["random"]) < 0.3
    assert "neighbours" in capsys.readouterr().out
