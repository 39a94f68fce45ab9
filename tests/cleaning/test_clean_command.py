"""``viewfinder clean``: from a folder with faults to a table, lists, a page, and a run without."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from viewfinder.cleaning.findings import Findings
from viewfinder.commands.clean import clean, show
from viewfinder.commands.main import main
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.data.shapes.source import shapes_split
from viewfinder.data.sources.table import open_source
from viewfinder.evaluation.probes.classification import evaluate_features
from viewfinder.runs.embeddings import read_embeddings
from viewfinder.runs.run import Run

SMALL = ["epochs=1", "batch_size=32", "encoder.widths=[8,16]", "logger=none", "accelerator=cpu"]
SMALL += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]
COPIED = {"val/a/1.png": "train/a/1.png", "val/b/2.png": "train/b/2.png"}


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Findings]:
    """A folder of shapes with three copies, one within train, and an empty image; a run of it."""
    folder = tmp_path_factory.mktemp("clean")
    pixels = shapes_split("train", np.arange(120), 32, 0).data.read(np.arange(120))
    for i, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        split = "val" if i % 4 == 0 else "train"
        place = folder / "photos" / split / "ab"[i % 2 if split == "train" else i // 4 % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"x{i}.png")
    photos = folder / "photos"
    for copy, original in COPIED.items():
        first = sorted((photos / original).parent.glob("x*.png"))[int(Path(copy).stem)]
        shutil.copy(first, photos / original)
        first.unlink()
        shutil.copy(photos / original, photos / copy)
    shutil.copy(photos / "train/a/1.png", photos / "train/b/twin.png")
    Image.new("RGB", (32, 32), "grey").save(photos / "train/a/empty.png")
    words = ["simclr", f"data={photos}", "data.size=32", *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        run = pretrain(recipe_of(words), folder / "run")
    return run, clean(run, out=run.folder / "clean", label_next=5)


def listed(run: Run, name: str) -> list[str]:
    lines = (run.folder / "clean" / f"{name}.csv").read_text().splitlines()
    assert lines[0] == "path"
    return lines[1:]


def test_the_lists_name_what_was_planted(cleaned: tuple[Run, Findings]) -> None:
    run, _ = cleaned
    twin = "train/b/twin.png"
    assert {*COPIED, *COPIED.values(), twin} <= {*listed(run, "copies-across-splits")}
    assert {*COPIED.values(), twin} <= {*listed(run, "copies")}  # the test images stay
    assert not {*COPIED} & {*listed(run, "copies")}
    assert "train/a/empty.png" in listed(run, "empty")
    assert {*listed(run, "copies"), "train/a/empty.png"} == {*listed(run, "leave-out")}
    assert not (run.folder / "clean" / "label-next.csv").exists()  # all have a label
    assert "Label these next" not in (run.folder / "clean" / "clean.html").read_text()


def test_the_table_has_a_row_an_image_and_both_files_say_the_same(
    cleaned: tuple[Run, Findings],
) -> None:
    run, _ = cleaned
    table = pq.read_table(run.folder / "clean" / "findings.parquet")
    rows = list(csv.DictReader((run.folder / "clean" / "findings.csv").open()))
    assert len(rows) == len(table) == len(read_embeddings(run.artifacts / "embeddings.parquet"))
    assert list(rows[0]) == table.column_names
    assert [row["path"] for row in rows] == table["path"].to_pylist()
    by_path = {row["path"]: row for row in rows}
    for copy, original in COPIED.items():
        assert by_path[copy]["identical"] == by_path[original]["copy_across_splits"] == "True"
        assert by_path[copy]["copy_group"] == by_path[original]["copy_group"]
        assert (by_path[copy]["copy_spare"], by_path[original]["copy_spare"]) == ("False", "True")
    alone = [row for row in rows if row["copy_group"] == "-1"]
    assert {row["copy_of"] for row in alone} == {""}
    scores = [float(row["outlier_score"]) for row in rows]
    np.testing.assert_allclose(scores, table["outlier_score"].to_numpy(), rtol=1e-4)


def test_the_score_without_the_copied_is_that_of_a_probe_without_them(
    cleaned: tuple[Run, Findings],
) -> None:
    run, found = cleaned
    (effect,) = found.effects
    known = read_embeddings(run.artifacts / "embeddings.parquet")
    assert known.labels is not None
    train, test = (np.array([s == name for s in known.split]) for name in ("train", "test"))
    copied = test & found.across
    assert effect.copied == copied.sum() >= 2
    x, y = known.vectors, known.labels
    for which, top1 in (
        (test, effect.top1),
        (test & ~copied, effect.without),
        (copied, effect.of_copied),
    ):
        probe = evaluate_features(x[train], y[train], x[which], y[which], "knn")
        assert probe.top1 == pytest.approx(top1, abs=1e-9)
    metadata = pq.read_schema(run.folder / "clean" / "findings.parquet").metadata
    assert json.loads(metadata[b"effect_of_copies"])[0]["without"] == effect.without


def test_the_page_shows_pictures_with_whole_names_and_asks_for_nothing(
    cleaned: tuple[Run, Findings],
) -> None:
    run, found = cleaned
    page = (run.folder / "clean" / "clean.html").read_text()
    for name in (*COPIED, *COPIED.values(), "train/b/twin.png", "train/a/empty.png"):
        assert name in page
    assert found.effects[0].in_words() in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_is_found_can_be_left_out_of_a_run(
    cleaned: tuple[Run, Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = cleaned
    photos = run.recipe().data.source
    exclude = run.folder / "clean" / "leave-out.csv"
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    words = ["simclr", f"data={photos}", f"data.exclude={exclude}", "data.size=32", *SMALL]
    without = pretrain(recipe_of(words), tmp_path / "without")
    assert without.recipe().data.exclude == str(exclude)
    left = {p for s in open_source(photos, exclude=exclude).splits.values() for p in s.paths or ()}
    again = clean(without, out=tmp_path / "again", label_next=0)
    assert {*(again.of.paths or ())} == left
    assert not again.copies.identical.any()
    protocol = json.loads(without.results_file.read_text())[0]["protocol"]
    assert str(exclude) in protocol["split"]
    exclude.rename(tmp_path / "moved.csv")
    try:
        with pytest.raises(UserError, match=r"data\.exclude=PLACE"):
            clean(without, out=tmp_path / "again")
    finally:
        (tmp_path / "moved.csv").rename(exclude)


def test_other_data_and_no_labels_are_looked_at_too(
    cleaned: tuple[Run, Findings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = cleaned
    pixels = shapes_split("test", np.arange(40), 32, 0).data.read(np.arange(40))
    images = pixels.permute(0, 2, 3, 1).numpy().copy()
    images[7] = images[3]
    np.savez(tmp_path / "mine.npz", images=images)
    found = clean(run, f"npz:{tmp_path / 'mine.npz'}", out=tmp_path / "out", label_next=3)
    assert found.doubts is None
    assert found.effects == []
    assert np.flatnonzero(found.copies.identical).size == 2
    lines = (tmp_path / "out" / "copies.csv").read_text().splitlines()
    assert lines[0] == "split,index"
    chosen = (tmp_path / "out" / "label-next.csv").read_text().splitlines()[1:]
    assert len(chosen) == len(set(chosen)) == 3
    assert all(line.startswith("train,") for line in chosen)
    assert not {*chosen} & {*lines[1:]}
    assert open_source(str(tmp_path / "mine.npz"), exclude=tmp_path / "out" / "copies.csv")
    show(found, tmp_path / "out")
    assert "1 copies too many" in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["clean"], ["search", "3"]):
        monkeypatch.setattr(sys, "argv", ["viewfinder", command[0], str(tmp_path), *command[1:]])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert "is not a run" in capsys.readouterr().err
