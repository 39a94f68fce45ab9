"""``viewfinder report``: a run's page anew, and a page of several runs, paired by image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from viewfinder.commands.report import report
from viewfinder.core.errors import UserError
from viewfinder.evaluation.run_images import run_images
from viewfinder.evaluation.several_runs import several
from viewfinder.recipes.recipe import build, complete, parse_overrides
from viewfinder.report.artifacts import load_embeddings
from viewfinder.runs.opening import open_data
from viewfinder.runs.run import Run
from viewfinder.training.fit import fit

pytest.importorskip("faiss")
SMALL = ["encoder.widths=[4,8]", "batch_size=16", "epochs=1", "logger=none", "accelerator=cpu"]


def trained(folder: Path, spec: str, *words: str) -> Run:
    run = Run(folder)
    run.folder.mkdir()
    recipe = complete(build("simclr", parse_overrides([*SMALL, f"data={spec}", *words])), (3, 8, 8))
    run.recipe_file.write_text(recipe.to_yaml())
    fit(recipe, open_data(recipe.data, 0).train, run, Console(quiet=True), "")
    return run


def images(path: Path, seed: int) -> str:
    rng = np.random.default_rng(seed)
    labels = np.arange(60) % 3
    pictures = rng.integers(0, 90, (60, 8, 8, 3)) + 60 * labels[:, None, None, None]
    path.mkdir()
    for name, part in (("train", slice(40)), ("test", slice(40, 60))):
        np.savez(path / f"{name}.npz", images=pictures[part].astype(np.uint8), labels=labels[part])
    return f"npz:{path}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    spec, other = images(folder / "a", 0), images(folder / "b", 1)
    return (
        trained(folder / "one", spec),
        trained(folder / "two", spec, "objective.temperature=0.5", "encoder.widths=[8,16]"),
        trained(folder / "three", other),
    )


def test_a_page_is_made_anew_with_all_images_and_other_features(runs: tuple[Run, ...]) -> None:
    path = report([runs[0]])
    page = path.read_text()
    found = load_embeddings(runs[0].artifacts / "embeddings.npz")
    assert path == runs[0].report and len(found) == found.total == 60
    assert found.splits.count("train") == 40 and found.splits.count("test") == 20
    assert set(found.rivals) == {"untrained", "raw pixels"}
    assert "by untrained, by raw pixels" in page and "What is confused" in page


def test_a_run_whose_data_are_gone_keeps_its_map(
    runs: tuple[Run, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = images(tmp_path / "gone", 2)
    run = trained(tmp_path / "run", spec)
    report([run])
    (tmp_path / "gone").rename(tmp_path / "away")
    run.report.unlink()
    assert report([run]).exists()
    assert "the map stays as it was kept" in " ".join(capsys.readouterr().out.split())


def test_differences_are_paired_by_image(runs: tuple[Run, ...], tmp_path: Path) -> None:
    found = several([run_images(run) for run in runs[:2]])
    (pair,) = found.paired
    n = found.images
    assert n == 20 and found.top1[0] is not None and found.top1[1] is not None
    assert pair.difference == pytest.approx(found.top1[1] - found.top1[0])
    gained, lost = len(pair.gained), len(pair.lost)
    assert pair.difference == pytest.approx((gained - lost) / n)
    # McNemar's variance of a paired difference of shares
    error = math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    assert pair.high - pair.low == pytest.approx(2 * 1.96 * error)
    assert 0 <= pair.overlap <= 1
    assert report(runs[:2], tmp_path / "both.html").exists()
    page = (tmp_path / "both.html").read_text()
    assert "right only in" in page and "<script" not in page


def test_a_run_against_itself_differs_in_nothing(runs: tuple[Run, ...]) -> None:
    one = run_images(runs[0])
    (pair,) = several([one, one]).paired
    assert (pair.difference, pair.low, pair.high, pair.overlap) == (0, 0, 0, 1)


def test_runs_of_other_images_are_refused(runs: tuple[Run, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="of other images") as error:
        report([runs[0], runs[2]], tmp_path / "x.html")
    assert str(runs[2].folder) in str(error.value)
    assert not (tmp_path / "x.html").exists()


def test_a_run_given_twice_and_no_run_are_refused(runs: tuple[Run, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="twice"):
        report([runs[0], runs[0]], tmp_path / "x.html")
    with pytest.raises(UserError, match="no run folder"):
        report([Run(tmp_path / "none")])
