"""``viewfinder learn-views`` from its words to a run of what it learned, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import viewfinder as vf
from viewfinder.commands.learn_views import learn_views, resume, with_data
from viewfinder.commands.main import main
from viewfinder.commands.words import view_recipe_of
from viewfinder.core.errors import UserError
from viewfinder.data.sources.table import open_source
from viewfinder.recipes.view_learning import ViewLearning, keys_of
from viewfinder.runs.view_run import ViewRun
from viewfinder.views.learned_space import load

SMALL = [
    *("data=shapes", "data.limit=96", "data.size=16", "batch_size=16", "epochs=2"),
    *("encoder.widths=[4,6]", "networks.projector=[8]", "logger=none", "accelerator=cpu"),
]


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_what_is_learned_trains_an_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "views"
    words = ["semi-supervised", "labelled=20", "generator=vp", "generator.space=ydbdr", *SMALL]
    assert command(monkeypatch, "learn-views", *words, "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "96 images" in said and "20 with a label" in said and "I_NCE" in said
    shape = load(out / "generator.safetensors").shape
    assert (shape.kind, shape.space, shape.channels) == ("vp", "ydbdr", 3)
    page = (out / "report.html").read_text()
    assert page.count("<img") == 8 * 7 + 4  # an image, three channels before and after; curves
    assert "after: view 1" in page and "I_NCE" in page and "<script" not in page
    before = (out / "generator.safetensors").read_bytes()
    assert command(monkeypatch, "learn-views", "--resume", str(out)) == 0  # nothing left to do
    assert before == (out / "generator.safetensors").read_bytes()
    steps = f"views.steps=[crop,flip,{{learned: {out / 'generator.safetensors'}}}]"
    few = ["data=shapes", "data.limit=64", "data.size=16", "epochs=1", "batch_size=16"]
    few += ["encoder.widths=[4,6]", "logger=none", "accelerator=cpu", "evaluation.protocols=[knn]"]
    assert command(monkeypatch, "pretrain", "cmc", steps, "evaluation.baselines=false", *few,
                   "--out", str(tmp_path / "cmc")) == 0  # fmt: skip
    images = open_source("shapes", limit=4, size=16).train.data.read(np.arange(2))
    assert vf.load(tmp_path / "cmc").encode(images).shape == (2, 12)


def test_the_recipe_is_printed_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "learn-views", "unsupervised", *SMALL, "--print-recipe") == 0
    text = capsys.readouterr().out
    (tmp_path / "r.yaml").write_text(text)
    again, _, _ = with_data(view_recipe_of([], tmp_path / "r.yaml"))
    assert again.to_yaml() == text
    assert again.method == "unsupervised" and again.size == 16


def test_labels_that_are_used_are_of_every_class_and_the_same_for_a_seed() -> None:
    words = ["supervised", *SMALL]
    for asked, expected in (("labelled=24", 24), ("labelled=0.25", 24), ("seed=0", 96)):
        recipe, _, split = with_data(view_recipe_of([*words, asked]))
        assert split.labels is not None
        assert (split.labels >= 0).sum() == expected
        again = with_data(view_recipe_of([*words, asked]))[2]
        assert (again.labels == split.labels).all()
        assert recipe.batch_size == 16
    few = [*SMALL, "labelled=40", "batch_size=64"]
    assert with_data(view_recipe_of(["supervised", *few]))[0].batch_size == 32  # of those alone
    assert with_data(view_recipe_of(["semi-supervised", *few]))[0].batch_size == 64


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["glow"], "unknown way to learn views 'glow'"),
        (["generator=glow"], "generator.kind is 'glow'"),
        (["generator.space=cmyk"], "generator.space is 'cmyk'; known: rgb"),
        (["labelled=3"], "labelled=3 is 3 images"),
        (["labelled=1000"], "labelled=1000 is 1000 images"),
        (["labelled=0"], "labelled is 0"),
        (["unsupervised", "labelled=10"], "unsupervised uses no labels"),
        (["steps=[crop,normalise]"], r"takes values in \[0, 1\], which normalise changes"),
        (["steps=[crop,twist]"], "steps: unknown step 'twist'"),
        (["size=64"], "size is 64 px but the images are 16x16"),
        (["data.channels=1"], "these have one"),
        (["data=spirals", "data.size=null", "data.limit=null"], "holds points"),
        (["rates=both"], "rates is 'both'"),
        (["generator.rate=1"], "unknown key generator.rate"),
        (["objective=supcon"], "unknown key objective"),
        (["epochs=0"], "epochs is 0"),
        (["encoder.depth=3"], "no option 'depth'"),
        (["supervised", "method=unsupervised"], "the method is supervised"),
    ],
)
def test_mistakes_are_told_before_anything_runs(words: list[str], told: str) -> None:
    given = [w for w in words if "=" not in w][:1] if "=" not in words[0] else []
    rest = words[len(given) :]
    with pytest.raises(UserError, match=told):
        with_data(view_recipe_of([*given, *SMALL, *rest]))


def test_data_without_labels_are_for_the_unsupervised_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", images=np.zeros((40, 16, 16, 3), np.uint8))
    bare = [f"data=npz:{tmp_path}", "batch_size=8", "accelerator=cpu"]
    with pytest.raises(UserError, match="has none"):
        with_data(view_recipe_of(["semi-supervised", *bare]))
    assert with_data(view_recipe_of(["unsupervised", *bare]))[2].labels is None


def test_folders_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("method: simclr\n")
    with pytest.raises(UserError, match="is no training of views"):
        resume(tmp_path / "run")
    with pytest.raises(UserError, match="not empty"):
        learn_views(view_recipe_of(SMALL), tmp_path / "run")
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "views.yaml").write_text("method: unsupervised\nplugins: [evil]\n")
    with pytest.raises(UserError, match="never imported by itself"):
        ViewRun(tmp_path / "views").recipe()
    with pytest.raises(UserError, match="is not a run"):
        vf.load(tmp_path / "views")


def test_the_front_door_learns_views_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIEWFINDER_RUN", raising=False)
    keys: dict[str, Any] = {"data": {"source": "shapes", "limit": 48, "size": 16}, "epochs": 1}
    keys |= {"batch_size": 16, "logger": "none", "accelerator": "cpu", "labelled": 20}
    run = vf.learn_views(out=tmp_path / "v", encoder={"widths": [4]}, **keys)
    assert run.generator.is_file() and run.recipe().labelled == 20
    with pytest.raises(UserError, match="takes no further keys"):
        vf.learn_views(run.recipe(), epochs=3)


def test_every_key_is_described() -> None:
    assert all(keys_of(ViewLearning).values())
