"""A run whose views are made with a file has a copy of it, and may be moved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from trained_generators import saved_space

from viewfinder.commands.pretrain import completed, pretrain, resume
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.core.files import content_of
from viewfinder.recipes.recipe import build
from viewfinder.runs.model import Model
from viewfinder.runs.run import Run, load_encoder

WORDS: dict[str, Any] = {
    "data": {"source": "shapes", "limit": 64, "size": 16},
    "epochs": 1,
    "batch_size": 16,
    "logger": "none",
    "accelerator": "cpu",
    "encoder": {"widths": [4, 8]},
    "evaluation": {"protocols": ["knn"], "baselines": False},
}


def steps(file: Path | str) -> list[Any]:
    return [{"crop": [0.4, 1.0]}, "flip", {"learned": str(file)}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of CMC with learned views, moved to another place, its generator's first place gone."""
    folder = tmp_path_factory.mktemp("learned")
    torch.manual_seed(0)
    file = saved_space(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        made = pretrain(build("cmc", {**WORDS, "views": {"steps": steps(file)}}), folder / "run")
    digest = content_of(file)
    assert [f.name for f in made.files.iterdir()] == [f"generator-{digest}.safetensors"]
    shutil.move(made.folder, folder / "moved")
    file.unlink()
    return Run(folder / "moved")


def test_a_run_that_was_moved_still_has_its_views(run: Run) -> None:
    name = next(run.files.iterdir()).name
    assert f"files/{name}" in run.recipe_file.read_text()
    assert str(run.folder.parent) not in run.recipe_file.read_text().replace("shapes", "")
    encoder, recipe, _ = load_encoder(run)
    assert str(run.files / name) in str(recipe.views.plain())
    features = Model(encoder, recipe).encode(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    assert features.shape == (2, 16)
    assert resume(run.folder).folder == run.folder  # nothing left to do, and nothing is missing
    again = completed(recipe_of([], run.recipe_file))
    assert again.views == recipe.views


def test_a_file_beside_a_recipe_is_found_from_anywhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    shutil.copy(next(run.files.iterdir()), tmp_path / "mine" / "g.safetensors")
    (tmp_path / "mine" / "r.yaml").write_text(
        "method: cmc\n"
        "views: {first: [{learned: g.safetensors}], second: [{learned: g.safetensors}]}"
    )
    monkeypatch.chdir(tmp_path)
    recipe = build(file=Path("mine/r.yaml"))
    expected = str(tmp_path / "mine" / "g.safetensors")
    assert [own.steps[0]["learned"]["file"] for own in (recipe.views.first, recipe.views.second)
            if own and own.steps] == [expected, expected]  # fmt: skip


@pytest.mark.parametrize("of", ["nothing", "other channels"])
def test_a_run_that_cannot_begin_leaves_no_folder(
    tmp_path: Path, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    file = tmp_path / "none" if of == "nothing" else saved_space(tmp_path, channels=4)
    told = "there is no file" if of == "nothing" else "learned needs 4 channels"
    with pytest.raises(UserError, match=told):
        pretrain(build("cmc", {**WORDS, "views": {"steps": steps(file)}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
