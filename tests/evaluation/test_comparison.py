"""Two runs compared: whose neighbours changed, on what map, and when a build is stopped."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.metrics import jaccard_score

import viewfinder as vf
from viewfinder.commands.compare import compare, show
from viewfinder.commands.main import main
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.evaluation.comparison import (
    Comparison,
    names_of,
    overlap_by_chance,
    overlap_of,
    same_width,
    turned,
)
from viewfinder.evaluation.comparison import compare as compare_images
from viewfinder.evaluation.run_images import run_images
from viewfinder.report.two_maps import two_maps
from viewfinder.runs.embeddings import Embeddings
from viewfinder.runs.neighbour_graph import nearest_neighbours
from viewfinder.runs.run import Run

SMALL = ["epochs=1", "batch_size=32", "logger=none", "accelerator=cpu"]
SMALL += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs of the digits whose embeddings have 8 and 6 dims."""
    folder = tmp_path_factory.mktemp("compare")
    runs = []
    for name, width in (("before", 8), ("after", 6)):
        words = ["simclr", "data=digits", f"encoder.widths=[4,{width}]", *SMALL]
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("VIEWFINDER_RUN", raising=False)
            runs.append(pretrain(recipe_of(words), folder / name))
    return runs[0], runs[1]


def test_the_overlap_is_that_of_another_implementation() -> None:
    rng = np.random.default_rng(0)
    one, other = (np.stack([rng.permutation(12)[:5] for _ in range(9)]) for _ in range(2))
    for a, b, found in zip(one, other, overlap_of(one, other), strict=True):
        masks = [np.isin(np.arange(12), rows) for rows in (a, b)]
        assert found == pytest.approx(jaccard_score(*masks))


def test_chance_is_what_random_neighbours_have() -> None:
    rng = np.random.default_rng(1)
    n, k, draws = 30, 6, 20_000
    one, other = (rng.random((draws, n - 1)).argsort(1)[:, :k] for _ in range(2))
    found = overlap_of(one, other)
    error = found.std() / np.sqrt(draws)
    assert overlap_by_chance(n, k) == pytest.approx(found.mean(), abs=4 * error)
    assert overlap_by_chance(5, 4) == pytest.approx(1)  # all others are neighbours


def test_the_second_embedding_is_turned_as_another_implementation_turns_it() -> None:
    rng = np.random.default_rng(2)
    onto = rng.normal(size=(40, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(turned(onto @ turn, onto), onto, atol=1e-5)
    rows = rng.normal(size=(40, 6))
    np.testing.assert_allclose(
        turned(rows, onto), rows @ orthogonal_procrustes(rows, onto)[0], atol=1e-5
    )
    narrow, wide = same_width(rows[:, :2], onto)
    assert narrow.shape == wide.shape == (40, 6) and not narrow[:, 2:].any()


def test_a_run_and_its_copy_have_the_same_neighbours(pair: tuple[Run, Run], tmp_path: Path) -> None:
    shutil.copytree(pair[0].folder, tmp_path / "copy")
    found = vf.compare(pair[0], tmp_path / "copy")
    assert found.mean == 1 and found.cosine == pytest.approx(1, abs=1e-5)
    assert found.missing == (0, 0)


def test_neighbours_overlap_as_the_embeddings_say(pair: tuple[Run, Run], tmp_path: Path) -> None:
    found = compare(*pair, k=7, out=tmp_path / "out")
    sets = []
    for run in pair:
        unit = run_images(run).embeddings.unit
        similarity = unit @ unit.T
        np.fill_diagonal(similarity, -2)
        sets.append(np.argsort(-similarity, axis=1)[:, :7])
    by_hand = [len({*a} & {*b}) / len({*a} | {*b}) for a, b in zip(*sets, strict=True)]
    assert found.overlap == pytest.approx(by_hand, abs=0.16)  # equal images may change places
    assert found.mean == pytest.approx(np.mean(by_hand), abs=1e-3)
    facts = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert facts["mean_overlap"] == found.mean and facts["neighbours"] == 7
    with (tmp_path / "out" / "overlap.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = [float(row["overlap"]) for row in rows]
    assert len(rows) == len(found) == 1797 and values == sorted(values)


def test_the_page_needs_no_network_and_shows_both_maps(
    pair: tuple[Run, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(*pair, out=tmp_path)
    page = (tmp_path / "compare.html").read_text()
    assert "http:" not in page and "https:" not in page and "<script" not in page
    assert page.count('r="2.6"') == 2 * 1000
    assert "Procrustes" in page and f"{found.mean:.3f}" in page
    assert page.count("before") >= 20 and page.count(", overlap") == 20
    show(found, tmp_path)
    assert f"{found.mean:.3f}" in capsys.readouterr().out


def fake(vectors: np.ndarray, paths: list[str], folder: str) -> Any:
    """As much of the images of a run as a comparison reads."""
    embeddings = Embeddings(vectors, ["train"] * len(paths), np.arange(len(paths)), paths)
    return SimpleNamespace(
        embeddings=embeddings,
        graph=nearest_neighbours(vectors, 3),
        source=SimpleNamespace(spec="digits", held_out=False),
        run=Run(Path(folder)),
    )


def test_images_of_one_run_alone_are_left_out_and_the_order_says_nothing() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(12, 4)).astype(np.float32)
    names = [f"{i}.png" for i in range(12)]
    order = rng.permutation(12)[:9]
    both = compare_images(
        fake(vectors, names, "a"), fake(vectors[order], [names[i] for i in order], "b"), 3
    )
    assert isinstance(both, Comparison)
    assert both.mean == 1 and both.missing == (3, 0)
    np.testing.assert_array_equal(order[both.rows[1]], both.rows[0])


def test_held_out_images_are_known_by_their_place_in_the_whole() -> None:
    images = fake(np.eye(4, dtype=np.float32), list("abcd"), "a")
    object.__setattr__(images.embeddings, "paths", None)
    object.__setattr__(images.embeddings, "split", ["train", "train", "train", "test"])
    images.embeddings.index[:] = [0, 1, 3, 2]
    images.source.held_out = True
    assert names_of(images) == [("train", 0), ("train", 1), ("train", 3), ("train", 2)]


def test_mistakes_are_named(pair: tuple[Run, Run]) -> None:
    with pytest.raises(UserError, match="with itself"):
        compare(pair[0], pair[0])
    with pytest.raises(UserError, match="1 to 30"):
        compare(*pair, k=31)
    one, two = (fake(np.eye(3, dtype=np.float32), list("abc"), name) for name in "ab")
    two.source.spec = "shapes"
    with pytest.raises(UserError, match=r"a is of digits, b of shapes.*--data SOURCE"):
        compare_images(one, two)


def test_a_build_can_be_gated(
    pair: tuple[Run, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for limit, code in (("0", 0), ("0.999", 1)):
        words = [*(str(run.folder) for run in pair), "--at-least", limit, "--out", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["viewfinder", "compare", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert (stop.value.code or 0) == code
    assert "is below 0.999" in capsys.readouterr().err


def test_names_on_the_maps_are_text_and_equal_places_are_drawn() -> None:
    drawn = two_maps(np.zeros((2, 3, 2)), np.array([0.0, 0.5, 1.0]), ["<b>", "&"], [1])
    assert "<b>" not in drawn and "&lt;b&gt;" in drawn
    assert drawn.count("<circle") == 2 * 4 + 5 and "nan" not in drawn
