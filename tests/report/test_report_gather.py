from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.scores import Score
from viewfinder.recipes.recipe import build
from viewfinder.report.artifacts import save_embeddings, save_views
from viewfinder.report.gather import _part, gather
from viewfinder.report.page import render
from viewfinder.report.sections import score_groups, score_rows
from viewfinder.runs.results import append_results

RECIPE = """
method: moco
seed: 5
data: {source: shapes, root: null}
views: {preset: moco2, count: 2, size: 32, first: {flip: 0.5}}
positives: {name: instance}
negatives: {name: queue, size: 4096}
objective: {name: info-nce, temperature: 0.2}
regularizers: {}
"""


def score(
    features: str, probe: str, top1: float, per_class: dict[str, float] | None = None
) -> Score:
    return Score(
        features=features,
        top1=top1,
        top5=None,
        per_class=per_class or {},
        n_test=40,
        protocol={"protocol": probe, "data": "shapes", "k": 20},
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "metrics.csv").write_text(
        "epoch,loss,feature_std,rankme\n1,5.5,0.4,12\n2,nan,,13\n2,,0.6,\n3,inf,0.7,x\n"
    )
    append_results(
        tmp_path / "results.json",
        [
            score("trained", "linear", 0.6, {"cat": 0.5, "dog": 0.7}),
            score("untrained", "linear", 0.4),
            score("supervised", "linear", 0.8),
            score("untrained", "knn", 0.3),
        ],
    )
    save_views(
        tmp_path / "artifacts/views.npz",
        np.zeros((2, 1, 8, 8), np.uint8),
        [np.zeros((2, 1, 8, 8))],
    )
    save_embeddings(
        tmp_path / "artifacts/embeddings.npz",
        np.random.default_rng(0).normal(size=(40, 5)),
        labels=np.arange(40) % 2,
        class_names=["cat", "dog"],
    )
    return tmp_path


def test_a_whole_run_is_read(run: Path) -> None:
    found = gather(run)
    assert (found.title, found.seed, found.notes) == ("moco on shapes", 5, [])
    assert found.method == {
        "views": "moco2, 2 views, 32 px",
        "positives": "instance",
        "negatives": "queue, size 4096",
        "objective": "info-nce, temperature 0.2",
        "regularizers": "none",
    }
    assert found.recipe == RECIPE
    assert found.gallery is not None
    assert found.embedded is not None
    assert len(found.embedded) == 40
    first = found.scores[0]
    assert isinstance(first, Score)
    assert (first.features, first.protocol["data"], first.top1) == ("trained", "shapes", 0.6)
    assert first.per_class == {"cat": 0.5, "dog": 0.7}


def test_the_summary_compares_within_one_probe(run: Path) -> None:
    summary = gather(run).summary.replace("\N{NO-BREAK SPACE}", " ")
    assert summary == (
        "A linear probe on the frozen features names the class of 60.0 % of held-out images; "
        "40.0 % by the same encoder untrained, 80.0 % by the same encoder trained with labels."
    )


def test_rows_of_an_epoch_are_joined_and_gaps_stay_gaps(run: Path) -> None:
    history = gather(run).history
    assert history["epoch"] == [1, 2, 3]
    assert history["feature_std"] == [0.4, 0.6, 0.7]
    assert history["rankme"] == [12, 13, None]
    assert history["loss"][0] == 5.5
    assert math.isnan(history["loss"][1] or 0)
    assert history["loss"][2] == math.inf


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    found = gather(tmp_path)
    assert found.title == tmp_path.name
    assert (found.scores, found.history, found.gallery, found.embedded) == ([], {}, None, None)
    for name in ("recipe.yaml", "metrics.csv", "results.json", "views.npz", "embeddings.npz"):
        assert any(name in note for note in found.notes)


def test_no_folder_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder"):
        gather(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recipe.yaml", "a: [1"),
        ("recipe.yaml", "!!python/object/apply:os.system [true]"),
        ("recipe.yaml", "\x00"),
        ("results.json", "{"),
        ("results.json", '{"scores": 3}'),
        ("results.json", "[3]"),
        ("artifacts/views.npz", "x"),
        ("artifacts/embeddings.npz", ""),
    ],
)
def test_what_is_damaged_is_left_out_with_a_note(run: Path, name: str, text: str) -> None:
    (run / name).write_text(text)
    assert any(Path(name).name in note for note in gather(run).notes)


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "\n\n", "1,2\n3,4,5\n", "loss\nx\n"])
def test_odd_histories_are_read(run: Path, text: str) -> None:
    (run / "metrics.csv").write_text(text)
    history = gather(run).history
    assert all(value is None for value in history.get("loss", []))


@pytest.mark.parametrize(
    "recipe", ["- a\n- b", "3", "views: 7\nseed: x", "method: 3\ndata: {}", ""]
)
def test_odd_recipes_are_read(run: Path, recipe: str) -> None:
    (run / "recipe.yaml").write_text(recipe)
    assert gather(run).seed == 0


@pytest.mark.parametrize(
    "change",
    [
        {"top1": 61.2},
        {"top1": -0.1},
        {"top1": "NaN"},
        {"top5": 1.5},
        {"per_class": {"cat": 2}},
        {"per_class": [1]},
        {"features": 3},
        {"protocol": "k=1"},
    ],
)
def test_what_is_no_score_is_not_shown_as_one(run: Path, change: dict[str, object]) -> None:
    entries = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps([{**entries[0], **change}, *entries[1:]]))
    found = gather(run)
    assert found.scores == []
    assert any(note.startswith("results.json was left out") for note in found.notes)


def measured(features: str, top1: float, **protocol: object) -> Score:
    made = score(features, "linear", top1)
    return made.model_copy(update={"protocol": {**made.protocol, **protocol}})


@pytest.mark.parametrize(
    "facts",
    [
        {"data": "digits"},
        {"split": "train -> test, limited to 300 each"},
        {"n_train": 240},
        {"seed": 1},
        {"protocol": "knn"},
        {"options": {"held_out": 0.5}},
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_what_was_measured_otherwise_changes_neither_headline_nor_bars(
    run: Path, facts: dict[str, object], earlier: bool
) -> None:
    own = [measured("trained", 0.6), measured("raw pixels", 0.5)]
    others = [measured("raw pixels", 0.1, **facts), measured("supervised", 0.9, **facts)]
    (run / "results.json").unlink()
    append_results(run / "results.json", own)
    before = gather(run)
    bars = score_groups(before)[0]["bars"]
    (run / "results.json").unlink()
    append_results(run / "results.json", [*others, *own] if earlier else [*own, *others])
    after = gather(run)
    assert "50.0" in after.summary
    assert after.summary == before.summary
    assert [b["features"] for b in bars] == ["trained", "raw pixels"]
    groups = score_groups(after)
    assert [group["bars"] for group in groups].count(bars) == 1
    assert len({(group["title"], group["facts"]) for group in groups}) == 2


def test_the_runs_own_data_come_first(run: Path) -> None:
    (run / "results.json").unlink()
    append_results(run / "results.json", [measured("trained", 0.2, data="digits")])
    append_results(run / "results.json", [measured("trained", 0.6)])
    found = gather(run)
    assert "60.0" in found.summary
    assert [group["transfer"] for group in score_groups(found)] == [False, True]


def test_a_run_needs_no_plug_in_to_be_reported(run: Path) -> None:
    text = RECIPE.replace("{name: queue, size: 4096}", "{name: hardest, k: 3}")
    (run / "recipe.yaml").write_text(f"plugins: [not_here]\n{text}")
    found = gather(run)
    assert (found.method["negatives"], found.notes) == ("hardest, k 3", [])


def test_many_embeddings_are_thinned_and_broken_ones_left_out(run: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(6000, 3))
    vectors[7] = np.nan
    save_embeddings(run / "artifacts/embeddings.npz", vectors, names=range(6000))
    found = gather(run)
    assert found.embedded is not None
    assert len(found.embedded) == 5000
    for i in (0, 700, 4999):
        np.testing.assert_allclose(
            found.embedded.vectors[i], vectors[int(found.embedded.names[i])], rtol=1e-6
        )
    assert "1 of 6000 embeddings are not finite" in found.notes[0]
    assert "5,000 of 5,999" in found.notes[1]


def test_usage_is_the_last_row_and_nonsense_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text("epoch,prototype 0,prototype 1\n1,1,0\n2,0.25,0.75\n")
    assert gather(tmp_path).usage == [0.25, 0.75]
    (tmp_path / "usage.csv").write_text("epoch,prototype 0,prototype 1\n1,x,0\n")
    found = gather(tmp_path)
    assert found.usage == []
    assert any("usage.csv was left out" in note for note in found.notes)


def test_decoded_columns_are_named(tmp_path: Path) -> None:
    view = np.zeros((2, 3, 8, 8), np.float32)
    (tmp_path / "artifacts").mkdir()
    original = np.zeros((2, 3, 8, 8), np.uint8)
    path = tmp_path / "artifacts" / "views.npz"
    save_views(path, original, [view, view], decoded=[view, view])
    gallery = gather(tmp_path).gallery
    assert gallery is not None
    names = ["original", "view 1", "view 2", "view 1 decoded", "view 2 decoded"]
    assert gallery.names == names


def test_regularizers_are_told_with_their_weights() -> None:
    plain = build("simclr", {"regularizers": {"rc": 1, "lbe": 0.1, "ip": 0}}).plain()
    assert _part("regularizers", plain["regularizers"]) == "rc 1 + lbe 0.1"
    pair = build("simclr", {"regularizers": {"rc": [1, 0.5]}}).plain()
    assert _part("regularizers", pair["regularizers"]) == "rc [1,0.5]"
    noisy = build("simclr", {"regularizers": {"noise": 0.2}}).plain()
    assert _part("regularizers", noisy["regularizers"]) == "noise 0.2"
    assert _part("regularizers", build("simclr").plain()["regularizers"]) == "none"
    assert _part("positives", build("simclr").plain()["positives"]) == "instance"


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch"), (20, "20 epochs")])
def test_a_supervised_score_says_what_it_was_trained_for(
    run: Path, epochs: int, words: str
) -> None:
    (run / "results.json").unlink()
    own = [measured("trained", 0.6, epochs=100), measured("supervised", 0.8, epochs=epochs)]
    append_results(run / "results.json", own)
    found = gather(run)
    assert f"by the same encoder trained with labels for {words}." in found.summary
    (group,) = score_groups(found)  # for as long as they were trained they are compared
    assert [bar["budget"] for bar in group["bars"]] == ["", words]
    assert [row["meaning"].rpartition(", ")[2] for row in score_rows(found.scores)] == [
        "100 epochs",
        words,
    ]
    assert words in render(found)
