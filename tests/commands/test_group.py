"""``viewfinder group``: what a person says of images becomes clusters, and clusters a run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import viewfinder as vf
from viewfinder.commands.group import group, show
from viewfinder.commands.main import main
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.positives.assignment import Assignment, dense
from viewfinder.positives.cluster_file import read_clusters
from viewfinder.positives.said import said
from viewfinder.runs.opening import reopened
from viewfinder.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a folder with train and test of their own, twelve and four images."""
    folder = tmp_path_factory.mktemp("group")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        (folder / "photos" / split / "a").mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / split / "a" / f"{i:02}.png")
    words = ["simclr", f"data={folder / 'photos'}", "data.size=16", "epochs=1", "batch_size=4"]
    words += ["encoder.widths=[4,8]", "logger=none", "accelerator=cpu"]
    words += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        return pretrain(recipe_of(words), folder / "run")


def a_list(folder: Path, name: str, *rows: int, split: str = "train") -> Path:
    file = folder / name
    file.write_text("".join(f"{split}/a/{i:02}.png\n" for i in rows))
    return file


def z_of(run: Run, file: Path) -> Assignment:
    recipe = run.recipe()
    return read_clusters(file, reopened(run, recipe.data, recipe.seed, recipe).train)


def test_lists_become_clusters_that_a_run_reads(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "z.parquet"
    same = [a_list(tmp_path, "one.txt", 0, 3), a_list(tmp_path, "two.txt", 5, 6, 7)]
    made = group(run, same=same, leave_out=[a_list(tmp_path, "out.txt", 9)], out=out)
    z = z_of(run, out)
    assert z.keep is not None and np.flatnonzero(~z.keep).tolist() == [9]
    kept = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11])
    expected = dense([0, 1, 2, 0, 4, 5, 5, 5, 8, 10, 11])
    np.testing.assert_array_equal(dense(z.clusters[kept]), expected)
    assert "train/a/09.png" not in pq.read_table(out)["path"].to_pylist()
    show(made, out)
    told = " ".join(capsys.readouterr().out.split())
    assert "5 images in 2 clusters, 6 each its own, 1 left out" in told


def test_what_was_said_is_trained_on_from_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    out = tmp_path / "z.parquet"
    group(run, same=[a_list(tmp_path, "same.txt", 0, 3, 4)], out=out)
    on = vf.pretrain(
        "ci-infonce", start=run, positives=f"file:{out}", epochs=2, out=tmp_path / "on"
    )
    assert on.recipe().positives.options().file == str(out)
    assert (tmp_path / "on" / "report.html").exists()


def test_lists_are_those_of_positions_and_tables_too(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("split,index,score\ntrain,1,0.5\ntrain,2,0.25\n")
    group(run, same=[table], out=tmp_path / "z.parquet")
    z = z_of(run, tmp_path / "z.parquet").clusters
    assert z[1] == z[2] and len(np.unique(z)) == 11


def test_images_that_differ_leave_the_clusters_they_were_in(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    group(run, same=[a_list(tmp_path, "same.txt", 0, 1, 2, 3)], out=first)
    group(run, differ=[a_list(tmp_path, "differ.txt", 1, 2)], over=first, out=second)
    z = z_of(run, second).clusters
    assert z[0] == z[3] and len(np.unique(z)) == 11


@given(st.data())
def test_sameness_is_an_equivalence_and_nothing_else_is_joined(data: st.DataObject) -> None:
    """Against the components of the graph of what is said, found by going through it."""
    n = data.draw(st.integers(2, 9))
    lists = data.draw(st.lists(st.sets(st.integers(0, n - 1), min_size=1), max_size=4))
    masks = [np.isin(np.arange(n), [*one]) for one in lists]
    z = said(n, masks).clusters
    for start in range(n):
        reached, grown = {start}, True
        while grown:
            more = reached.union(*(one for one in lists if one & reached))
            grown, reached = more != reached, more
        assert {*np.flatnonzero(z == z[start]).tolist()} == reached
    np.testing.assert_array_equal(np.unique(z), np.arange(z.max() + 1))


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({}, "nothing is said"),
        ({"same": [3]}, "names 1 images of train, and at least 2"),
        ({"same": [1, 2], "leave_out": [2, 4]}, "1 images are said to be the same as others, and"),
        ({"same": [1, 2], "differ": [2]}, "--over FILE"),
        ({"same": [1, 99]}, "names 1 images that .* does not have: train/a/99.png"),
    ],
)
def test_mistakes_are_named(
    lists: dict[str, list[int]], told: str, run: Run, tmp_path: Path
) -> None:
    files = {key: [a_list(tmp_path, f"{key}.txt", *rows)] for key, rows in lists.items()}
    with pytest.raises(UserError, match=told):
        group(run, out=tmp_path / "z.parquet", **files)
    assert not (tmp_path / "z.parquet").exists()


def test_what_is_said_of_images_that_are_not_trained_on_is_counted_or_refused(
    run: Run, tmp_path: Path
) -> None:
    of_test = a_list(tmp_path, "test.txt", 0, 1, split="test")
    with pytest.raises(UserError, match="2 are of what is not trained on"):
        group(run, same=[of_test], out=tmp_path / "z.parquet")
    of_test.write_text(of_test.read_text() + "train/a/00.png\ntrain/a/01.png\n")
    made = group(run, same=[of_test], out=tmp_path / "z.parquet")
    assert any("2 images" in note and "say nothing" in note for note in made.notes)


def test_the_command_line_does_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "z.parquet"
    words = ["--same", str(a_list(tmp_path, "one.txt", 0, 1)), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["viewfinder", "group", str(run.folder), *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert f"positives=file:{out}" in "".join(capsys.readouterr().out.split("\n"))
    assert len(np.unique(z_of(run, out).clusters)) == 11
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], str(tmp_path / "z.csv")])
    with pytest.raises(SystemExit):
        main()
    assert "z.parquet" in capsys.readouterr().err
