"""``evaluate`` on a run's own data, opened in another way than it was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from viewfinder.commands.evaluate import evaluate
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.transfer import transfer
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import open_source
from viewfinder.evaluation.probes.scores import comparable
from viewfinder.recipes.recipe import parse_overrides
from viewfinder.runs.opening import override, reopened
from viewfinder.runs.results import read_results
from viewfinder.runs.run import Run

COUNT = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without classes, and beside them a table of two classes."""
    folder = tmp_path_factory.mktemp("photos")
    assert folder.name == "photos0"
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


def parts(run: Run, spec: str, **options: Any) -> tuple[set[str], set[str]]:
    """The images of train and of test as an evaluation of the run sees them."""
    trained = run.recipe()
    data = override(trained, {"data": options}, spec).data
    source = reopened(run, data, trained.seed, trained)
    assert source.test is not None and source.test.paths and source.train.paths
    return {*source.train.paths}, {*source.test.paths}


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Run:
    """The run, to be changed or measured."""
    found = Run(Path(shutil.copytree(run.folder, tmp_path / "run")))
    found.results_file.unlink(missing_ok=True)
    return found


@given(
    limit=st.none() | st.integers(15, COUNT),
    classes=st.none() | st.integers(2, 6),
    spelling=st.sampled_from(["folder:{}", "{}", "folder:{}/../photos0"]),
    size=st.sampled_from([16, 12]),
)
@settings(max_examples=25, deadline=None)
def test_no_image_that_was_trained_on_is_tested(
    run: Run, folder: Path, limit: int | None, classes: int | None, spelling: str, size: int
) -> None:
    trained = open_source(f"folder:{folder}", size=16)
    assert trained.train.paths and trained.test and trained.test.paths
    table = None
    if classes is not None:
        table = folder.parent / f"{classes}.csv"
        rows = [f"{i:02}.png,{i % classes}" for i in range(COUNT)]
        table.write_text("\n".join(["path,label", *rows]))
    spec = spelling.format(folder.parent / "photos0")
    train, test = parts(run, spec, limit=limit, labels=table and str(table), size=size)
    assert test <= {*trained.test.paths}
    assert not test & train
    if limit is None and classes is None:
        assert test == {*trained.test.paths}


def test_nor_where_images_came_later(copy: Run, folder: Path) -> None:
    held_out = {*json.loads(copy.held_out_file.read_text())}
    more = folder / "99.png"
    shutil.copy(folder / "00.png", more)
    try:
        train, test = parts(copy, f"folder:{folder}")
    finally:
        more.unlink()
    assert (test, "99.png" in train) == (held_out, True)


def test_the_score_says_which_part_it_is_of(
    copy: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = parse_overrides([f"data.labels={folder.parent / 'labels.csv'}"])
    score, *_ = evaluate(copy, ["knn"], overrides=labels)
    transfer([copy], [], labels, protocols=["knn"], baselines=False)
    assert read_results(copy.results_file) == [score]  # the same part, so the same score
    sentence = "the 6 images that the run held out are held out here too"
    assert sentence in str(score.protocol["split"])
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_a_folder_that_was_moved_keeps_the_part(copy: Run, folder: Path, tmp_path: Path) -> None:
    moved, held_out = shutil.copytree(folder, tmp_path / "moved"), copy.held_out()
    assert held_out is not None
    _, test = parts(copy, f"folder:{moved}")
    assert {*test} == {*held_out.tolist()}
    labels = parse_overrides([f"data.labels={folder.parent / 'labels.csv'}"])
    score, *_ = evaluate(copy, ["knn"], f"folder:{moved}", overrides=labels)
    transfer([copy], [f"folder:{moved}"], labels, protocols=["knn"], baselines=False)
    for one in [score, *read_results(copy.results_file)]:
        assert "the 6 images that the run held out" in str(one.protocol["split"])
    (moved / next(iter(test))).unlink()  # not all of them: other images, whose part is their own
    _, other = parts(copy, f"folder:{moved}")
    assert {*other} != {*test}


def test_labels_of_two_tables_are_two_scores(copy: Run, folder: Path) -> None:
    (folder.parent / "other.csv").write_text((folder.parent / "labels.csv").read_text())
    for name in ("labels", "other"):
        evaluate(copy, ["knn"], overrides={"data": {"labels": f"{folder.parent}/{name}.csv"}})
    assert len(comparable(read_results(copy.results_file))) == 2


def test_where_the_run_held_nothing_out_what_it_has_seen_is_counted(
    copy: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy.held_out_file.unlink()
    table = str(folder.parent / "labels.csv")
    score, *_ = evaluate(copy, ["knn"], overrides={"data": {"labels": table}})
    held = open_source(f"folder:{folder}", size=16, labels=table).test
    trained = open_source(f"folder:{folder}", size=16).train
    assert held is not None and held.paths is not None and trained.paths is not None
    count = len({*held.paths} & {*trained.paths})
    sentence = f"{count} of the {len(held)} images held out here were in the run's training"
    assert sentence in str(score.protocol["split"])
    assert sentence in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["", "{", "{}", "[[1]]", "[1.5]"])
def test_a_damaged_list_is_named(copy: Run, text: str) -> None:
    copy.held_out_file.write_text(text)
    with pytest.raises(UserError, match=r"held_out\.json"):
        evaluate(copy, ["knn"])


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
