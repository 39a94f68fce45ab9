"""``evaluate`` on a run's own data, opened in another way than it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from viewfinder.commands.evaluate import evaluate
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.transfer import transfer
from viewfinder.commands.words import recipe_of
from viewfinder.data.sources.table import open_source
from viewfinder.recipes.recipe import parse_overrides
from viewfinder.runs.results import read_results
from viewfinder.runs.run import Run

COUNT = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without classes, and beside them a table of two classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    rows = [f"{i:02}.png,{'ab'[i % 2]}" for i in range(COUNT)]
    (folder.parent / "labels.csv").write_text("\n".join(["path,label", *rows]))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    words = ["simclr", f"data=folder:{folder}", "data.size=16", "epochs=1", "encoder.widths=[4,8]"]
    words += ["logger=none", "accelerator=cpu", "batch_size=8", "evaluation.baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        return pretrain(recipe_of(words), tmp_path_factory.mktemp("runs") / "one")


def overlap(folder: Path, **options: Any) -> str:
    """The sentence on images that are held out with ``options`` and were in the run's training."""
    held = open_source(f"folder:{folder}", size=16, **options).test
    trained = open_source(f"folder:{folder}", size=16).train
    assert held is not None and held.paths is not None and trained.paths is not None
    count = len({*held.paths} & {*trained.paths})
    assert count > 0
    return f"{count} of the {len(held)} images held out here were in the run's training"


@pytest.mark.parametrize("more", [[], ["data.limit=20"]], ids=["labels", "limit"])
def test_test_images_that_were_trained_on_are_counted(
    run: Run, folder: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(folder.parent / "labels.csv")
    score, *_ = evaluate(run, ["knn"], overrides=parse_overrides([f"data.labels={table}", *more]))
    sentence = overlap(folder, labels=table, limit=20 if more else None)
    assert sentence in str(score.protocol["split"])
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_transfer_counts_them_too(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    run.results_file.unlink(missing_ok=True)
    table = str(folder.parent / "labels.csv")
    overrides = parse_overrides([f"data.labels={table}"])
    transfer([run], [], overrides, protocols=["knn"], baselines=False)
    sentence = overlap(folder, labels=table)
    assert sentence in " ".join(capsys.readouterr().out.split())
    (score,) = read_results(run.results_file)
    assert sentence in str(score.protocol["split"])


def test_the_data_of_the_run_as_they_were_get_no_such_note(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = folder.parent / "labels.csv"
    words = ["simclr", f"data=folder:{folder}", "data.size=16", "epochs=1", "encoder.widths=[4,8]"]
    words += [f"data.labels={table}", "logger=none", "accelerator=cpu", "batch_size=8"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        trained = pretrain(recipe_of([*words, "evaluation.baselines=false"]), tmp_path / "run")
    score, *_ = evaluate(trained, ["knn"], overrides={"evaluation": {"k": 3}})
    assert "training" not in str(score.protocol["split"])
    assert "in the run's training" not in capsys.readouterr().out
