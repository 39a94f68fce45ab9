"""``data.exclude``: what a list names is left out of any source; what it cannot name is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from viewfinder.core.errors import UserError
from viewfinder.data.source import Source
from viewfinder.data.sources.table import open_source
from viewfinder.data.splits import identities


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "arrays").mkdir()
    for name, n in (("train", 30), ("val", 12)):
        pixels = rng.integers(0, 255, (n, 8, 8, 3), dtype=np.uint8)
        np.savez(tmp_path / "arrays" / f"{name}.npz", images=pixels, labels=np.arange(n) % 3)
    return tmp_path / "arrays"


def written(folder: Path, text: str, name: str = "list.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def all_of(source: Source) -> dict[str, torch.Tensor]:
    """Every image by its split and what it is known by."""
    return {
        f"{name} {known}": image
        for name, split in source.splits.items()
        for known, image in zip(
            identities(split).tolist(), split.data.read(np.arange(len(split))), strict=True
        )
    }


@pytest.mark.parametrize(
    "text",
    [
        "cats/3.png\ndogs/1.png\n",
        "path\ncats/3.png\ndogs/1.png\n",
        "path;why\ncats\\3.png;a\ndogs/1.png;b\n",
        "\ufeffpath,why\r\ncats/3.png,a\r\ndogs/1.png,b\r\n",
    ],
)
def test_files_are_left_out_by_their_paths(photos: Path, tmp_path: Path, text: str) -> None:
    whole = open_source(f"folder:{photos}")
    rest = open_source(f"folder:{photos}", exclude=written(tmp_path, text))
    before, after = all_of(whole), all_of(rest)
    assert {key.split()[1] for key in before.keys() - after.keys()} == {"cats/3.png", "dogs/1.png"}
    assert all(torch.equal(before[key], image) for key, image in after.items())
    assert "2 of the 2 images in" in rest.notes[-1]


@pytest.mark.parametrize("spec", ["arrays", "digits", "shapes", "spirals"])
def test_every_kind_of_source_leaves_out_positions(spec: str, arrays: Path, tmp_path: Path) -> None:
    spec = f"npz:{arrays}" if spec == "arrays" else spec
    whole = open_source(spec, limit=None if "npz" in spec else 40)
    assert whole.test is not None
    a, b = (int(identities(split)[1]) for split in (whole.train, whole.test))
    text = f"split,index\ntrain,{a}\ntest,{b}\n"
    rest = open_source(spec, limit=None if "npz" in spec else 40, exclude=written(tmp_path, text))
    before, after = all_of(whole), all_of(rest)
    assert before.keys() - after.keys() == {f"train {a}", f"test {b}"}
    assert all(torch.equal(before[key], image) for key, image in after.items())
    if whole.train.labels is not None:
        assert rest.train.labels is not None
        assert len(rest.train.labels) == len(whole.train.labels) - 1


def test_plain_numbers_are_positions_in_the_only_split(photos: Path, tmp_path: Path) -> None:
    rest = open_source(f"folder:{photos}", exclude=written(tmp_path, "0\n19\n"))
    left = {path for split in rest.splits.values() for path in split.paths or ()}
    assert len(left) == 18
    assert not {"cats/0.png", "dogs/9.png"} & left


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("photos", "cats/3.png\ncats/nobody.png\n", r"list\.csv names 1 images .*cats/nobody\.png"),
        ("photos", "path,why\ncats/x.png,1\ndogs/y.png,2\n", r"names 2 .*cats/x.png, dogs/y.png"),
        ("photos", "0\n20\n", "names 1 images .*train:20"),
        ("arrays", "split,index\ntrain,3\nval,12\n", "names 1 images .*test:12"),
        ("arrays", "split,index\nextra,3\n", "names the split extra; .*train, test"),
        ("arrays", "3\n4\n", "has the splits train, test"),
        ("arrays", "cats/3.png\n", "not files"),
        ("arrays", "", "is empty"),
        ("arrays", "path,why\n", "names no image"),
        (
            "photos",
            "\n".join(f"{c}/{i}.png" for c in ("cats", "dogs") for i in range(10)),
            "0 imag",
        ),
    ],
)
def test_what_a_list_cannot_mean_is_named(
    source: str, text: str, told: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place: Path = request.getfixturevalue(source)
    with pytest.raises(UserError, match=told):
        open_source(str(place), exclude=written(tmp_path, text))


def test_a_list_that_is_not_there_or_no_text_is_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*nothing\.txt"):
        open_source(f"folder:{photos}", exclude=tmp_path / "nothing.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bytes\.txt is no list of images"):
        open_source(f"folder:{photos}", exclude=tmp_path / "bytes.txt")


def test_the_held_out_part_is_that_of_all_images(photos: Path, tmp_path: Path) -> None:
    """What is compared before and after was never moved between train and test."""
    whole = open_source(f"folder:{photos}")
    assert whole.test is not None
    gone = (whole.test.paths or [])[0]
    rest = open_source(f"folder:{photos}", exclude=written(tmp_path, f"{gone}\n"))
    assert rest.test is not None
    assert list(rest.test.paths or []) == [p for p in whole.test.paths or [] if p != gone]
    assert list(rest.train.paths or []) == list(whole.train.paths or [])
    again = open_source(
        f"folder:{photos}",
        exclude=tmp_path / "list.csv",
        held_out=identities(rest.test),
        seed=5,
    )
    assert again.test is not None
    assert list(again.test.paths or []) == list(rest.test.paths or [])
    assert gone not in (again.train.paths or [])
