"""The command line as a user meets it: quick to start, errors in one line, whole chains."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from viewfinder.commands.main import main
from viewfinder.commands.methods import TABLES
from viewfinder.negatives.table import NEGATIVES
from viewfinder.recipes.methods import METHODS
from viewfinder.recipes.recipe import build, choices
from viewfinder.runs.checkpoint import load_weights

SMALL = ["data=digits", "data.limit=200", "epochs=1", "batch_size=64", "logger=none"]
SMALL += ["encoder.widths=[4,8]", "accelerator=cpu"]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_lists_the_commands_as_they_are_used() -> None:
    """Data before training, what a run is used for after it, the papers last."""
    from typer.main import get_command

    from viewfinder.commands.cli import app

    listed = list(get_command(app).commands)
    order = ["data", "pretrain", "evaluate", "embed", "search", "clean", "clusters", "reproduce"]
    assert [name for name in listed if name in order] == order


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the whole chain on a few digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "pretrain", "simclr", *SMALL, "--out", str(out)) == 0
    return out


def test_a_run_leaves_everything_in_its_folder(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1"]
    assert {"loss", "feature_std", "rankme", "images_per_second"} <= rows[0].keys()
    results = json.loads((trained / "results.json").read_text())
    found = {(entry["features"], entry["protocol"]["protocol"]) for entry in results}
    kinds = ("trained", "untrained", "raw pixels", "supervised")
    assert found == {(kind, probe) for kind in kinds for probe in ("linear", "knn")}
    assert {e["protocol"].get("epochs") for e in results if e["features"] == "supervised"} == {1}
    for entry in results:
        assert {"data", "layer", "split", "selection", "seed"} <= entry["protocol"].keys()
    assert "<html" in (trained / "report.html").read_text()
    names = {p.name for p in (trained / "checkpoints" / "epoch-00001").iterdir()}
    assert names == {"weights.safetensors", "state.safetensors", "SHA256SUMS"}
    assert not list(trained.rglob("*.tmp"))
    assert not (trained / "in-progress.json").exists()


def test_the_budget_of_the_supervised_baseline_stands_beside_its_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["evaluation=[knn]", "evaluation.supervised_epochs=2", "--out", str(out)]
    assert run(monkeypatch, "pretrain", "simclr", *SMALL, *words) == 0
    shown = capsys.readouterr().out
    assert "supervised, 2 epochs" in shown  # in the table
    assert shown.count("epoch 1/") == 1  # of the run alone: its own are behind a bar
    assert "trained with labels for 2 epochs" in (out / "report.html").read_text()


def test_the_saved_recipe_repeats_the_run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    words = ["--recipe", str(trained / "recipe.yaml"), "--out", str(again)]
    assert run(monkeypatch, "pretrain", "evaluation.baselines=false", *words) == 0
    file = "checkpoints/epoch-00001/weights.safetensors"
    assert (trained / file).read_bytes() == (again / file).read_bytes()


def test_embeddings_are_those_of_the_encoder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "vectors.parquet"
    words = ("embed", str(trained), "--data", "digits", "--out", str(out), "data.limit=100")
    assert run(monkeypatch, *words) == 0
    table = pq.read_table(out)
    assert {"index", "label", "split", "vector"} <= set(table.column_names)
    vectors = np.stack(table["vector"].to_numpy())
    assert vectors.dtype == np.float32

    from viewfinder.data.sources.table import open_source
    from viewfinder.networks.frozen_features import extract
    from viewfinder.runs.run import Run, load_encoder

    encoder, recipe, _ = load_encoder(Run(trained))
    source = open_source("digits", limit=100)
    seen = recipe.view_maker().frozen
    expected = [extract(encoder, s.data, seen) for s in source.splits.values()]
    # the run's own test part is kept, so the same images come in another order
    rows = np.concatenate([s.factors["source_row"] for s in source.splits.values()])
    assert sorted(table["index"].to_pylist()) == sorted(rows.tolist())
    place = {row: i for i, row in enumerate(rows.tolist())}
    expected = np.concatenate(expected)[[place[row] for row in table["index"].to_pylist()]]
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)
    assert len(table) == sum(len(s) for s in source.splits.values())


def test_all_images_are_embedded_whatever_the_limit_of_the_run(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "all.npz"
    words = ("embed", str(trained), "--data", "digits", "--out", str(out), "--unit-length")
    assert run(monkeypatch, *words) == 0
    assert "1,797 embeddings" in capsys.readouterr().out
    with np.load(out) as file:
        np.testing.assert_allclose(np.linalg.norm(file["vectors"], axis=1), 1, rtol=1e-5)
        rows = sorted(zip(file["split"].tolist(), file["index"].tolist(), strict=True))
    held_out = json.loads((trained / "held_out.json").read_text())
    assert [i for split, i in rows if split == "test"] == held_out  # as in the run
    assert sorted(i for _, i in rows) == list(range(1797))


def test_embeddings_say_of_which_epoch_they_are(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("epochs: 1\n", "epochs: 7\n", 1))
    words = ["--data", "digits", "data.limit=50", "--out"]
    for folder, said, epochs in ((copy, True, 7), (trained, False, 1)):
        out = tmp_path / f"{epochs}.npy"
        assert run(monkeypatch, "embed", str(folder), *words, str(out)) == 0
        assert ("epoch 1 of 7" in capsys.readouterr().out) == said
        about = json.loads(out.with_name(f"{out.name}.json").read_text())
        assert (about["epoch"], about["epochs"], about["unit_length"]) == (1, epochs, False)
        assert {"mean", "std"} <= json.loads(about["network_input"])[1][0]["normalise"].keys()
    before = {*tmp_path.iterdir()}
    assert run(monkeypatch, "embed", str(copy), *words, str(tmp_path / "x.tsv")) == 2
    assert ".parquet, .csv, .npy, .npz" in capsys.readouterr().err
    assert {*tmp_path.iterdir()} == before


def test_evaluating_again_adds_and_replaces(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> int:
        return len(json.loads((trained / "results.json").read_text()))

    before = count()
    assert run(monkeypatch, "evaluate", str(trained), "--protocol", "knn") == 0
    assert count() == before
    assert run(monkeypatch, "evaluate", str(trained), "--protocol", "knn", "evaluation.k=5") == 0
    assert count() == before + 1


def test_a_folder_without_labels_is_embedded_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{i}.png")
    (photos / "broken.png").write_bytes(b"not a picture")
    out = tmp_path / "run"
    words = [f"data=folder:{photos}", "data.size=16", "epochs=1", "batch_size=16", "logger=none"]
    assert run(monkeypatch, "pretrain", "simclr", *words, "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "broken.png" in said
    assert "has no labels" in said
    assert (out / "report.html").exists()
    assert run(monkeypatch, "evaluate", str(out)) == 2
    assert "no labels" in capsys.readouterr().err
    assert run(monkeypatch, "evaluate", str(out), "--data", "digits", "data.size=16") == 0


def test_a_table_of_some_labels_goes_through_all_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names = [f"{i:02}.png" for i in range(60)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(f"photos/{name}")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    labels = [f"{name};{'ab'[i % 2]}" for i, name in enumerate(names[:40])]
    Path("labels.csv").write_text("\n".join(["path;label", *labels, "gone.png;a"]))
    words = ["data=folder:photos", "data.labels=labels.csv", "data.size=12", "batch_size=16"]
    words += ["epochs=1", "logger=none", "encoder.widths=[4,8]", "accelerator=cpu"]
    assert run(monkeypatch, "data", *(w.removeprefix("data=") for w in words[:3])) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "20 of 60 images have no label (40.png, 41.png, 42.png, ...)",
        "1 of 41 lines name",
    ):
        assert text in shown or text in shown.replace("- ", "-")
    assert run(monkeypatch, "pretrain", "simclr", *words, "--out", "one") == 0
    scores = json.loads(Path("one/results.json").read_text())
    assert {(s["features"], s["n_test"], s["protocol"]["n_train"]) for s in scores} == {
        (kind, 8, 32) for kind in ("trained", "untrained", "raw pixels", "supervised")
    }
    assert run(monkeypatch, "pretrain", "supcon", *words, "--out", "two") == 0
    capsys.readouterr()
    assert run(monkeypatch, "pretrain", "cross-entropy", *words, "--out", "three") == 2
    assert "a label for each image" in capsys.readouterr().err
    strict = [*words, "data.strict=true", "--out", "four"]
    assert run(monkeypatch, "pretrain", "simclr", *strict) == 2
    out = ["--data", "folder:photos", "--out", "v.csv"]
    assert run(monkeypatch, "embed", "one", *out) == 0
    with Path("v.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class_name"] for row in rows} == {"a", "b", ""}
    assert len(rows) == 60


def test_methods_and_reproductions_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "methods") == 0
    assert run(monkeypatch, "reproduce") == 0
    said = capsys.readouterr().out
    for word in ("simclr", "supcon", "moco", "byol", "vince/fig1"):
        assert word in said


@pytest.mark.parametrize("part", TABLES)
def test_every_row_of_a_part_is_listed_with_what_it_is(
    part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "methods", part) == 0
    said = capsys.readouterr().out
    listed = {line.split()[0] for line in said.splitlines() if line.split()}
    for row in TABLES[part].values():
        assert row.name in listed
        assert row.summary.split()[0] in said


def test_parts_of_a_recipe_can_all_be_listed() -> None:
    tables = [part.table for part in choices().values()]
    assert all(any(table is known for known in TABLES.values()) for table in tables)


def test_rows_of_a_plug_in_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows_to_list.py").write_text(
        "from viewfinder.negatives.contract import Negatives, NegativesRow\n"
        "from viewfinder.negatives.table import NEGATIVES\n"
        "from viewfinder.recipes.methods import METHODS, Method\n"
        "NEGATIVES.add(NegativesRow(name='listed', summary='of a plug-in', paper='Own 2026',\n"
        "    build=lambda o, spec: Negatives(), kind='batch'))\n"
        "METHODS.add(Method(name='mine', summary='a [b] of mine',\n"
        "    settings={'negatives': {'name': 'listed'}}))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        assert run(monkeypatch, "methods", "negatives", "plugins=rows_to_list") == 0
        said = capsys.readouterr().out
        assert all(word in said for word in ("listed", "of a plug-in", "Own 2026"))
        assert run(monkeypatch, "methods", "plugins=rows_to_list") == 0
        said = capsys.readouterr().out
        assert "a [b] of mine" in said
        assert "mine" in said and "listed" in said
    finally:
        NEGATIVES._rows.pop("listed", None)
        METHODS._rows.pop("mine", None)


def test_what_is_missing_for_the_commands_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "lightning" else find_spec(name)
    )
    assert run(monkeypatch, "--help") == 2
    error = capsys.readouterr().err
    assert "the commands need lightning" in error
    assert 'pip install "viewfinder[app]"' in error


def test_print_recipe_prints_what_a_file_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "pretrain", "moco", "data=digits", "--print-recipe") == 0
    text = capsys.readouterr().out
    (tmp_path / "r.yaml").write_text(text)
    assert run(monkeypatch, "pretrain", "--recipe", str(tmp_path / "r.yaml"), "--print-recipe") == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pretrain", "simlcr"], "simclr"),
        (["pretrain", "simclr", "epohcs=3"], "epochs"),
        (["pretrain", "simclr", "data=npz:/nowhere"], "/nowhere"),
        (["pretrain", "simclr", "data=digits", "data.limit=3", "devices=64"], "batch_size is 64"),
        (["pretrain", "simclr", "data=digits", "views.size=64"], "data.size=64"),
        (["pretrain", "byol", "data=digits", "target=shared"], "collapse"),
        (["pretrain", "supcon", "data=digits", "positives=attributes"], "have no attributes"),
        (["pretrain", "supcon", "data=digits", "positives=atributes"], "attributes"),
        (["pretrain", "simclr", "data=digits", "data.source.root=x"], "data.source.root"),
        (["pretrain", "method=[moco]"], "name of a method"),
        (["pretrain", "simclr", "data=digits", "evaluation=[knm]"], "knn"),
        (["pretrain", "simclr", "data=digits", "encoder=resnt18"], "resnet18"),
        (["pretrain", "pcl", "data=digits", "positives.k=[]"], "positives.k"),
        (["clusters", "digits", "positives.top_k=3"], "--value"),
        (["pretrain", "--resume", "/nowhere"], "not a run"),
        (["pretrain", "simclr", "--resume", "/nowhere"], "--resume"),
        (["pretrain", "--recipe", "/nowhere.yaml"], "/nowhere.yaml"),
        (["evaluate", "/nowhere"], "not a run"),
        (["pretrain", "simclr", "data=digits", "strategy=dpp"], "Did you mean 'ddp'"),
        (["pretrain", "moco", "devices=3", "nodes=2"], "devices=3 x nodes=2"),
        (["methods", "negative"], "Did you mean 'negatives'"),
        (["methods", "epochs=3"], "epochs cannot be set here"),
        (["data", "cifar11"], "cifar10"),
        (["data", "digits", "epochs=3"], "epochs"),
        (["reproduce", "vince/fig2"], "vince/fig1"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    words: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("*"))


def test_runs_started_at_once_take_different_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from viewfinder.runs.new_run import _next_folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "moco-7").mkdir(parents=True)
    assert [_next_folder("moco").name for _ in range(2)] == ["moco-8", "moco-9"]
    assert _next_folder("simclr").name == "simclr-1"


def test_an_existing_run_is_never_overwritten(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*")}
    assert run(monkeypatch, "pretrain", *SMALL, "--out", str(trained)) == 2
    assert "--resume" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in trained.rglob("*")} == before


def in_processes(out: Path, *words: str) -> None:
    """Run pretrain in a process of its own, which starts the further ones it is told to."""
    script = out.with_suffix(".py")  # the further processes are started with the same words
    script.write_text("from viewfinder.commands.main import main; main()")
    done = subprocess.run(
        [sys.executable, str(script), "pretrain", *words, *SMALL, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


CLUSTERED = ["pcl", "positives.k=[5,4]", "positives.start=0"]
CLUSTERED += ["regularizers.rc={weight: 1, width: 0.1}", "regularizers.lbe=1"]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, with a queue, clusters and regularizers."""
    out = tmp_path_factory.mktemp("processes") / "two"
    in_processes(out, *CLUSTERED, "devices=2", "strategy=ddp", "evaluation=[knn]")
    return out


def test_two_processes_train_and_one_of_them_scores(of_two: Path) -> None:
    results = json.loads((of_two / "results.json").read_text())
    assert len(results) == 4
    assert (of_two / "report.html").exists()


def test_two_processes_have_the_clusters_of_one(of_two: Path, tmp_path: Path) -> None:
    alone = ["evaluation.protocols=[]", "evaluation.baselines=false"]
    in_processes(tmp_path / "one", *CLUSTERED, *alone)
    runs = (tmp_path / "one", of_two)
    first, second = (load_weights(run / "checkpoints" / "epoch-00001") for run in runs)
    assert first.keys() == second.keys()
    assert all(torch.isfinite(w).all() for w in second.values())
    for key in ("clusters", "states.main.centroids0", "states.main.centroids1"):
        # made of the untrained network, which is the same
        assert torch.equal(first[key], second[key])
        assert first[key].unique().numel() > 1


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there_is_a_mistake_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", *SMALL, "accelerator=mps", "--out", str(tmp_path / "run")]
    assert run(monkeypatch, *words) == 2
    assert "accelerator=mps" in capsys.readouterr().err


def test_clusters_are_recommended_written_and_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    attributes = np.stack([labels == 0, labels == 1, rng.integers(0, 2, 60)], axis=1).astype(int)
    images = rng.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    file = tmp_path / "set.npz"
    np.savez(
        file,
        images=images,
        labels=labels,
        attributes=attributes,
        attribute_names=np.array(["is_0", "is_1", "noise"]),
    )
    out = tmp_path / "clusters"
    words = ["clusters", f"npz:{file}", "--out", str(out), "--value", "2"]
    assert run(monkeypatch, *words) == 0
    assert "recommended" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "clusters.csv").open()))
    assert [row["top_k"] for row in rows] == ["1", "2", "3"]
    assert {p.name for p in out.iterdir()} >= {"z.parquet", "curves.png", "information_plane.png"}

    train = ["pretrain", "ci-infonce", f"data=npz:{file}", f"positives=file:{out}/z.parquet"]
    small = ["epochs=1", "batch_size=16", "logger=none", "encoder.widths=[4,8]"]
    small += ["evaluation.baselines=false", "evaluation.k=5", "accelerator=cpu"]
    assert run(monkeypatch, *train, *small, "--out", str(tmp_path / "run")) == 0


def test_clusters_takes_the_options_of_its_constructor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{i},{i / 1797:.6f},{i % 2}" for i in range(1797)]
    Path("weights.csv").write_text("\n".join(["index,grams,odd", *lines]))
    Path("one.csv").write_text("\n".join(["index,cluster", *(f"{i},7" for i in range(1797))]))
    words = ["clusters", "digits", "data.limit=100", "--attributes", "weights.csv"]
    assert run(monkeypatch, *words) == 2
    assert "positives.bins=4" in capsys.readouterr().err
    assert run(monkeypatch, *words, "positives.bins=4") == 0
    shown = capsys.readouterr().out
    assert "grams: binned at" in shown
    assert "positives.bins" not in shown.splitlines()[-1]  # Z is in the file that it names
    # each of the four bins is a column, and odd is one
    table = Path("clusters/clusters.csv").read_text().splitlines()
    assert [row["top_k"] for row in csv.DictReader(table)] == list("12345")

    assert run(monkeypatch, "clusters", "digits", "data.limit=100", "--z", "one.csv") == 2
    assert "no negatives" in capsys.readouterr().err
    assert run(monkeypatch, *words, "positives.bins=4", "--out", "one.csv") == 2
    assert "one.csv" in capsys.readouterr().err


def test_what_clusters_prints_trains_on_the_images_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    names = [f"{i:03d}.png" for i in range(60)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(photos / name)
    tags = [f"{name},{int(i % 3 == 0)},{i // 30}" for i, name in enumerate(names)]
    (tmp_path / "tags.csv").write_text("\n".join(["path,zero,late", *tags]))
    kinds = [f"{name},{i % 3}" for i, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *kinds]))
    monkeypatch.chdir(tmp_path)
    words = ["folder:photos", "--attributes", "tags.csv", "--labels", "labels.csv"]
    assert run(monkeypatch, "clusters", *words) == 0
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines() if line.startswith((" ", "late"))) <= 80
    told = shown.partition("viewfinder pretrain ")[2].split()
    assert "data.labels=labels.csv" in told
    small = ["epochs=1", "batch_size=16", "logger=none", "encoder.widths=[4,8]", "evaluation.k=5"]
    small += ["evaluation.baselines=false", "accelerator=cpu"]
    assert run(monkeypatch, "pretrain", *told, *small) == 0
    # Without the labels another part is held out, whose images have no cluster.
    other = [word for word in told if not word.startswith("data.labels")]
    assert run(monkeypatch, "pretrain", *other, *small) == 2
    assert "have no row" in capsys.readouterr().err


@pytest.mark.skipif("VIEWFINDER_DATA" not in os.environ, reason="VIEWFINDER_DATA is not set")
@pytest.mark.parametrize(("method", "name"), [("simclr", "cifar10"), ("byol", "fashion_mnist")])
def test_real_images_go_through_all_commands(
    method: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"npz:{os.environ['VIEWFINDER_DATA']}/{name}"
    out = tmp_path / "run"
    words = ["data.limit=300", "epochs=1", "batch_size=64", "logger=none", "encoder.widths=[4,8]"]
    assert run(monkeypatch, "data", spec, "data.limit=300") == 0
    assert run(monkeypatch, "pretrain", method, f"data={spec}", *words, "--out", str(out)) == 0
    # A set with other channels: converted, and said.
    other = f"npz:{os.environ['VIEWFINDER_DATA']}/{'mnist' if name == 'cifar10' else 'cifar10'}"
    assert run(monkeypatch, "evaluate", str(out), "--data", other, "data.limit=300") == 0
    file = tmp_path / "vectors.parquet"
    words = ["embed", str(out), "--data", spec, "--out", str(file), "data.limit=300"]
    assert run(monkeypatch, *words) == 0
    assert len(pq.read_table(file)) == 600


def test_a_batch_larger_than_the_data_is_reduced_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", "simclr", "data=digits", "batch_size=4096", "--print-recipe"]
    assert run(monkeypatch, *words) == 0
    seen = capsys.readouterr()
    assert "batch_size: 1024" in seen.out  # 1,438 images to train on
    assert "batch_size=4096 is more than the 1438 images" in seen.err
    assert run(monkeypatch, *words, "devices=3") == 2  # 4096 is no multiple of 3
    assert run(monkeypatch, *words, "devices=3", "batch_size=3000") == 0
    assert "batch_size: 1023" in capsys.readouterr().out


def test_images_that_are_all_the_same_are_named_where_a_run_collapses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "same.npz", images=np.full((64, 8, 8, 3), 90, np.uint8))
    words = [f"data=npz:{tmp_path}/same.npz", "batch_size=16", "epochs=1", "logger=none"]
    words += ["views=none", "encoder.widths=[4,8]", "accelerator=cpu"]
    assert run(monkeypatch, "pretrain", "simclr", *words, "--out", str(tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert "collapsed" in error
    assert "all are the same" in error


def test_what_nobody_expected_is_one_line_and_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecursionError("deep\n" * 9_000)

    monkeypatch.setattr("viewfinder.commands.data.describe", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(monkeypatch, "data", "digits") == 1
    seen = capsys.readouterr()
    assert "Traceback" not in seen.err + seen.out
    assert len(seen.err.splitlines()) == 1
    assert len(seen.err) < 1_000
    (log,) = tmp_path.glob("viewfinder-*.log")
    assert str(log) in seen.err
    assert "Traceback" in log.read_text()
    assert "in fails" in log.read_text()


def test_memory_that_runs_out_says_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("viewfinder.commands.data.describe", fails)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(monkeypatch, "data", "digits") == 1
    assert "a smaller batch_size" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_an_output_that_cannot_be_written_is_one_line() -> None:
    code = "import sys; sys.argv = ['viewfinder', 'reproduce']\n"
    code += "from viewfinder.commands.main import main; main()"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left" in line
    Path(line.partition("details are in ")[2]).unlink()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pretrain", "simclr", "--epochs", "3"], "Try: epochs=3\n"),
        (["pretrain", "simclr", "--epochs=3"], "Try: epochs=3\n"),
        (["pretrain", "simclr", "--batch-size", "32"], "Try: batch_size=32\n"),
        (["pretrain", "simclr", "--lr", "0.1"], "Try: optimizer.lr=0.1\n"),
        (["pretrain", "simclr", "--optimizer.lr", "0.1"], "Try: optimizer.lr=0.1\n"),
        (["pretrain", "simclr", "--zzzzz"], "there is no option --zzzzz"),
        (["pretrain", "simclr", "--recpie", "a.yaml"], "--recipe"),
        (["pretrain", "simclr", "lr=0.1"], "Did you mean optimizer.lr=0.1?"),
        (["pretrain", "simclr", "k=3"], "evaluation.k=3"),
        (["pretrain", "simclr", "missing_folder"], "data=folder:missing_folder"),
        (["pretrain", "simclr", "photos"], "Try: data=photos"),
        (["pretrain", "photos"], "Try: simclr data=photos"),
        (["pretrain", "moco", "method=byol"], "method='byol' is another"),
        (["nothing"], "No such command"),
        (["embed"], "Missing"),
    ],
)
def test_words_that_come_near_are_told_how_they_are_written(
    words: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert run(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_the_version_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import viewfinder

    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"viewfinder {viewfinder.__version__}\n"


@pytest.mark.parametrize("name", ["SimCLR", "CI-InfoNCE", "Barlow_Twins", "MoCo"])
def test_a_method_is_known_however_it_is_spelled(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", name, "data=shapes", "data.limit=100", "batch_size=8", "--print-recipe"]
    assert run(monkeypatch, *words) == 0
    assert f"method: {name.lower().replace('_', '-')}\n" in capsys.readouterr().out


def test_methods_are_listed_whole_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    from viewfinder.core.console import console

    console.cache_clear()
    assert run(monkeypatch, "methods") == 0
    said = capsys.readouterr().out
    console.cache_clear()
    assert "\N{HORIZONTAL ELLIPSIS}" not in said
    assert max(map(len, said.splitlines())) <= 80
    rows = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    table = said.partition("two views of an image agree")[0]
    for name, line in rows.items():
        if name in METHODS and line in table:
            assert build(name).objective.name in line


def test_a_folder_that_exists_is_a_source_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(24):
        file = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(file)
    monkeypatch.chdir(tmp_path)
    words = ["batch_size=8", "epochs=1", "logger=none", "encoder.widths=[4,8]", "data.size=12"]
    words += ["evaluation.baselines=false", "evaluation.k=2", "evaluation=[knn]", "accelerator=cpu"]
    assert run(monkeypatch, "data", "photos") == 0
    assert run(monkeypatch, "pretrain", "simclr", "data=photos", *words, "--out", "run") == 0
    assert build(file=Path("run/recipe.yaml")).data.source == f"folder:{tmp_path / 'photos'}"
    for spec in ("photos", "./photos", "folder:photos"):
        assert run(monkeypatch, "evaluate", "run", "--data", spec) == 0
        out = ["--out", "v.parquet"]
        assert run(monkeypatch, "embed", "run", "--data", spec, *out) == 0
