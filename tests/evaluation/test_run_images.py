"""All images of a run in its embedding: written once, and anew where they are not of this run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.evaluation.run_images import run_images
from viewfinder.runs.embeddings import read_embeddings
from viewfinder.runs.run import Run

WORDS = ["simclr", "data=digits", "data.limit=120", "epochs=1", "encoder.widths=[4,8]"]
WORDS += ["logger=none", "accelerator=cpu", "evaluation.protocols=[knn]"]
WORDS += ["evaluation.baselines=false"]
LIMIT = {"data": {"limit": 120}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs of the same data and other weights."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        made = []
        for seed in (0, 1):
            made.append(pretrain(recipe_of([*WORDS, f"seed={seed}"]), folder / str(seed)))
            patch.delenv("VIEWFINDER_RUN", raising=False)
    return made[0], made[1]


def times(run: Run) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in run.artifacts.glob("*.parquet")}


def test_all_images_of_all_splits_are_embedded_once(runs: tuple[Run, Run]) -> None:
    found = run_images(runs[0])
    assert len(found.embeddings) == len(found.graph) == len(found.images) == 1797
    counts = {name: len(split) for name, split in found.source.splits.items()}
    assert counts == {name: found.embeddings.split.count(name) for name in counts}
    made = times(runs[0])
    assert made.keys() == {"embeddings.parquet", "neighbours.parquet"}
    again = run_images(runs[0])
    np.testing.assert_array_equal(again.graph.near, found.graph.near)
    assert times(runs[0]) == made
    row = 5
    z = found.model.encode(found.images.read(np.array([row])))
    np.testing.assert_allclose(z[0], found.embeddings.vectors[row], rtol=1e-4, atol=1e-5)


def test_kept_files_of_other_weights_or_images_are_made_anew(runs: tuple[Run, Run]) -> None:
    kept = run_images(runs[0], overrides=LIMIT)
    first = kept.graph.about
    assert len(kept.graph) < 200
    for name in ("embeddings", "neighbours"):
        shutil.copy(runs[0].artifacts / f"{name}.parquet", runs[1].artifacts)
    other = run_images(runs[1], overrides=LIMIT)
    assert other.graph.about["model_digest"] != first["model_digest"]
    assert read_embeddings(other.files[0]).about["model_digest"] != first["model_digest"]
    assert not np.array_equal(other.graph.near, kept.graph.near)
    more = run_images(runs[0], overrides={"data": {"limit": 150}})
    assert len(more.graph) > len(kept.graph)


def test_other_data_have_files_of_their_own(runs: tuple[Run, Run], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (12, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=pixels)
    own = run_images(runs[0], overrides=LIMIT)
    assert len(own.graph)
    before = times(runs[0])
    other = run_images(runs[0], f"npz:{tmp_path / 'mine.npz'}")
    assert len(other.graph) == 12
    assert other.files[1].name.startswith("neighbours-mine")
    assert {name: t for name, t in times(runs[0]).items() if name in before} == before


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path, runs: tuple[Run, Run]) -> None:
    shutil.copy(runs[0].recipe_file, tmp_path / "recipe.yaml")
    with pytest.raises(UserError, match="no checkpoint"):
        run_images(Run(tmp_path))
