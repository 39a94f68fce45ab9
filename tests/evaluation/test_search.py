"""Search: the images most like one, whether it is of the run, a file, or an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import viewfinder as vf
from viewfinder.commands.pretrain import pretrain
from viewfinder.commands.search import find, show
from viewfinder.commands.words import recipe_of
from viewfinder.core.errors import UserError
from viewfinder.evaluation.search import listed
from viewfinder.runs.embeddings import read_embeddings
from viewfinder.runs.run import Run

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a folder of two classes, one of them with a hostile name."""
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    for name in ("a", HOSTILE.replace("/", "_")):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    words = ["simclr", f"data={folder / 'photos'}", "data.size=16", "epochs=1", "batch_size=8"]
    words += ["encoder.widths=[4,8]", "logger=none", "accelerator=cpu"]
    words += ["evaluation.protocols=[knn]", "evaluation.baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        return pretrain(recipe_of(words), folder / "run")


def test_a_row_a_name_and_a_position_are_the_same_query(run: Run) -> None:
    (by_row,) = find(run, [3], top=4)
    known = read_embeddings(run.artifacts / "embeddings.parquet")
    place = f"{known.split[3]}:{known.index[3]}"
    others = find(run, [known.name(3), place, "3"], top=4)
    assert all(other.matches == by_row.matches for other in others)
    cosine = torch.nn.functional.cosine_similarity(
        torch.tensor(known.vectors), torch.tensor(known.vectors[3])[None]
    )
    cosine[3] = -2
    assert [m.row for m in by_row.matches] == cosine.topk(4).indices.tolist()
    assert [m.similarity for m in by_row.matches] == pytest.approx(cosine.topk(4).values.tolist())
    assert {m.class_name for m in by_row.matches} <= {"a", HOSTILE.replace("/", "_")}


def test_an_image_from_elsewhere_finds_its_copy(run: Run, tmp_path: Path) -> None:
    known = read_embeddings(run.artifacts / "embeddings.parquet")
    file = Path(run.recipe().data.source.removeprefix("folder:")) / known.name(7)
    (tmp_path / "mine.png").write_bytes(file.read_bytes())
    pixels = np.asarray(Image.open(file))
    for query in (tmp_path / "mine.png", pixels, torch.from_numpy(pixels.copy()).movedim(-1, 0)):
        best = vf.search(run, query, top=1)[0]
        assert (best.row, best.similarity) == (7, pytest.approx(1, abs=1e-4))


def test_the_page_and_the_table_show_what_was_found(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.zeros((30, 10), np.uint8)
    found = find(run, [0, pixels], top=3, out=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert HOSTILE.replace("/", "_") not in page  # escaped wherever it stands
    assert page.count("<figure") == 8
    for match in found[0].matches:
        assert f"{match.similarity:.3f}" in page
        assert match.name.replace("<", "&lt;").replace(">", "&gt;") in page
    assert "http" not in page.replace("http-equiv", "")
    show(found)
    told = capsys.readouterr().out
    assert f"{found[0].matches[0].similarity:.3f}" in told


def test_a_list_holds_a_query_a_line(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("a/1.png\ntest:3\n")
    assert listed(str(tmp_path / "some.txt")) == ["a/1.png", "test:3"]
    (tmp_path / "some.csv").write_text("split,index,why\ntest,3,x\ntrain,0,y\n")
    assert listed(str(tmp_path / "some.csv")) == ["test:3", "train:0"]
    assert listed("a/1.png") == ["a/1.png"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (24, "there is no image 24: .* has 24, 0 to 23"),
        ("-1", "there is no image '-1'"),
        ("9" * 30, "there is no image"),
        ("test:99", r"test of .* has no image 99: it has \d+, 0 to \d+"),
        ("", "no image to search for was given"),
        ("a/nothing.png", r"'a/nothing.png' is neither a file nor an image of .*Try: a/"),
        (np.zeros((4, 4, 3)), "uint8 .* expected"),
    ],
)
def test_what_cannot_be_searched_for_is_named(run: Run, query: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        vf.search(run, query)  # type: ignore[arg-type]


def test_an_unreadable_file_and_a_top_of_none_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png is unreadable: not an image"):
        vf.search(run, tmp_path / "broken.png")
    with pytest.raises(UserError, match="top is 0"):
        vf.search(run, 0, top=0)
